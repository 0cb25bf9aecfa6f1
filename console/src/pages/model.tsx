import { ask, change, client, type Schemas } from "../api/client";
import { newest } from "../api/journal";
import { models, seen, type Model } from "../api/live";
import { canAll, missing } from "../api/session";
import { Act } from "../ui/act";
import { Empty, Facts, Panel, Problem, State } from "../ui/bits";
import { Chart } from "../ui/chart";
import { bytes, clock, count, digits, duration, none, parseDuration, seconds, short } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link, linkWith } from "../ui/router";
import { useLoad } from "../ui/use";
import { Try } from "./try";

type Version = Schemas["VersionInfo"];
type Detail = Schemas["ModelDetail"];

/** ModelPage shows a model: its versions, and one of them with its signature, run times and origin. */
export function ModelPage({ name, version }: { name: string; version: number }) {
  const live = models.value.get(name);
  const states = JSON.stringify(live?.map((m) => [m.version, m.state, m.role, m.digest]));
  const params = { params: { path: { name } } };
  const loaded = useLoad(() => ask(client.GET("/api/v1/models/{name}", params)), [name, states], 10_000);
  const registered = useLoad(() => ask(client.GET("/api/v1/models/{name}/versions", params)), [name, states]);
  const aliases = useLoad(() => ask(client.GET("/api/v1/models/{name}/aliases", params)), [name, states]);
  if (!live && !loaded.data) return loaded.error !== undefined && seen.value ? <Problem error={loaded.error} retry={loaded.again} /> : <Empty>Waiting for the gateway.</Empty>;
  const list = registered.data ?? [];
  const served = [...(loaded.data ?? live ?? [])];
  const chosen = version || served.find((m) => m.role !== "shadow" && m.state === "READY")?.version || list[0]?.version || served[0]?.version || 0;
  const copies = served.filter((m) => m.version === chosen);
  const detail = copies.find((m) => m.detail)?.detail;
  return (
    <>
      <h1>
        <span class="dim">Model</span> {name}
      </h1>
      <Facts
        of={[
          ["Route", <a href={link("routes", name)}>traffic</a>],
          ["Aliases", aliases.data?.length ? aliases.data.map((a) => `@${a.name} v${a.version}`).join(", ") : undefined],
          ["Drift", <a href={link("drift", name)}>streams</a>],
          ["Journal", <a href={linkWith("journal", { subject: `models/${name}/` })}>loads and changes</a>],
        ]}
      />
      <p />
      <Panel title="Versions" side={<Loads name={name} />}>
        {registered.error !== undefined && !registered.data && <Problem error={registered.error} retry={registered.again} />}
        <Versions name={name} list={list} served={served} chosen={chosen} />
      </Panel>
      <h2>Version {chosen}</h2>
      <p />
      <Copies list={copies} />
      {detail && <Signature of={detail} />}
      {detail && <Batching of={detail.batching} />}
      {detail && <Try key={`${name} ${chosen}`} name={name} version={chosen} detail={detail} />}
      <Record of={list.find((v) => v.version === chosen)} />
      <Past name={name} states={states} />
    </>
  );
}

function Loads({ name }: { name: string }) {
  const lacks = missing("load", name);
  const run = (verb: "load" | "unload") => (reason: string) => {
    const options = { params: { path: { name }, header: change(reason) } };
    return ask(verb === "load" ? client.POST("/api/v1/models/{name}/load", options) : client.POST("/api/v1/models/{name}/unload", options));
  };
  return (
    <>
      <Act label="Load" missing={lacks} run={run("load")} says={<p>The gateway loads the model. This works only with repository.control: explicit.</p>} />
      <Act label="Unload" tone="bad" missing={lacks} run={run("unload")} says={<p>The model stops serving. This works only with repository.control: explicit.</p>} />
    </>
  );
}

function Versions({ name, list, served, chosen }: { name: string; list: readonly Version[]; served: readonly Model[]; chosen: number }) {
  const numbers = [...new Set([...list.map((v) => v.version), ...served.map((m) => m.version)])].sort((a, b) => b - a);
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Versions">
      <table class="plain">
        <thead>
          <tr>
            <th>Version</th>
            <th>State</th>
            <th>Named by</th>
            <th>Files</th>
            <th class="n">Size</th>
            <th>Loaded</th>
            <th>Pushed</th>
            <th>Reason</th>
          </tr>
        </thead>
        <tbody>
          {numbers.map((n) => {
            const v = list.find((x) => x.version === n);
            const copies = served.filter((m) => m.version === n);
            const first = copies[0];
            return (
              <tr key={n} aria-current={n === chosen ? "true" : undefined} class={n === chosen ? "chosen" : ""}>
                <td>
                  <a href={link("models", name, n)}>v{n}</a>
                </td>
                <td>
                  {copies.length
                    ? copies.map((m) => (
                        <span key={m.role}>
                          <State of={m.state} /> <span class="dim">{m.role === "shadow" ? "as shadow " : ""}</span>
                        </span>
                      ))
                    : v && <State of={v.state} />}
                </td>
                <td class="wrap">{v?.named_by?.join(", ")}</td>
                <td class="mono">{short(first?.digest || v?.record?.digest)}</td>
                <td class="n">{v?.record ? bytes(v.record.size) : none}</td>
                <td>{clock(first?.loaded_at)}</td>
                <td>{v?.record ? `${clock(v.record.pushed_at)} by ${v.record.pushed_by.actor}` : none}</td>
                <td class="wrap">{first?.reason || v?.reason}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Copies shows what is loaded of a version. A shadow has a copy of its own. */
function Copies({ list }: { list: readonly Model[] }) {
  return (
    <>
      {list
        .filter((m) => m.detail || m.memory)
        .map((m) => (
          <Panel key={m.role} title={m.role === "shadow" ? "Loaded as a shadow" : "Loaded"} side={<State of={m.state} />}>
            <Facts
              of={[
                ["Instances", m.detail?.instances],
                ["Memory of the instances", m.memory && bytes(m.memory.instance_bytes)],
                ["Providers", m.detail?.providers.map((p) => p.name).join(", ")],
                ["Warm-up", m.detail?.warmup],
                ["Golden rows", m.detail?.validation && `${m.detail.validation.golden}${m.detail.validation.examples ? `, ${m.detail.validation.examples} examples in ${duration(m.detail.validation.latency)}` : ""}`],
                ["Drift profile", m.detail?.profile && (m.detail.profile.reason || m.detail.profile.from)],
                ["Ignored files", m.detail?.ignored?.join(", ")],
                ["Digest", <span class="mono">{m.digest}</span>],
              ]}
            />
            {m.reason && <div class="notice warn">{m.reason}</div>}
          </Panel>
        ))}
    </>
  );
}

function Signature({ of }: { of: Detail }) {
  const rows = [...of.inputs.map((t) => ["input", t] as const), ...of.outputs.map((t) => ["output", t] as const)];
  return (
    <Panel title="Signature">
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Signature">
        <table class="plain">
          <tbody>
            {rows.map(([kind, t]) => (
              <tr key={`${kind} ${t.name}`}>
                <td class="dim">
                  {kind}
                  {t.optional ? ", optional" : ""}
                </td>
                <td>
                  <b>{t.name}</b>
                </td>
                <td>{t.datatype}</td>
                <td class="mono">[{t.shape.map((d, i) => (d < 0 ? t.symbols?.[i] || "any" : d)).join(", ")}]</td>
                <td class="wrap dim">{t.labels?.slice(0, 12).join(", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** Batching shows what the probe has found, and the fitted run times over the number of rows. */
function Batching({ of }: { of: Schemas["BatchingStatus"] }) {
  const times = of.run_times ?? [];
  return (
    <Panel title="Batching" side={<State of={of.enabled ? "on" : "off"} tone={of.enabled ? "good" : "quiet"} />}>
      <p>
        {of.summary && <b>{of.summary}. </b>}
        {of.reason}
      </p>
      {of.advice && <div class="notice warn">{of.advice}</div>}
      {times.length > 0 && (
        <>
          <div class="scroll-x" tabIndex={0} role="region" aria-label="Run times">
            <table class="plain">
              <thead>
                <tr>
                  <th>Shape</th>
                  <th class="n">Runs</th>
                  <th class="n">Rows</th>
                  <th class="n">Fixed</th>
                  <th class="n">Per row</th>
                  <th class="n">Rows of a run</th>
                  <th class="n">Gain</th>
                  <th>Joined</th>
                </tr>
              </thead>
              <tbody>
                {times.map((t) => (
                  <tr key={t.shape}>
                    <td class="mono">{t.shape}</td>
                    <td class="n">{count(t.runs)}</td>
                    <td class="n">
                      {t.min_rows} – {t.max_rows}
                    </td>
                    <td class="n">{duration(t.fixed)}</td>
                    <td class="n">{duration(t.per_row)}</td>
                    <td class="n">{t.run_rows ?? none}</td>
                    <td class="n">{t.gain ? `× ${digits(t.gain)}` : none}</td>
                    <td>{t.joined ? "yes" : "no"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <RunTimes of={times} />
        </>
      )}
    </Panel>
  );
}

/** RunTimes plots fixed + per row · rows, each line over the rows of the runs that it was fitted to. */
function RunTimes({ of }: { of: readonly Schemas["RunTime"][] }) {
  const fitted = of.filter((t) => t.max_rows > t.min_rows).slice(0, 6);
  if (!fitted.length) return null;
  const x = [...new Set(fitted.flatMap((t) => [t.min_rows, t.max_rows]))].sort((a, b) => a - b);
  const at = (t: Schemas["RunTime"], rows: number) => (rows < t.min_rows || rows > t.max_rows ? null : parseDuration(t.fixed) + parseDuration(t.per_row) * rows);
  return <Chart title="Fitted time of a run over its rows" x={x} lines={fitted.map((t, i) => ({ label: t.shape, color: i, values: x.map((r) => at(t, r)) }))} format={seconds} xFormat={(n) => String(Math.round(n * 10) / 10)} />;
}

/** Record shows where a version comes from. */
function Record({ of }: { of: Version | undefined }) {
  const r = of?.record;
  if (!of) return null;
  if (!r)
    return (
      <Panel title="Origin">
        <p class="dim">The files of this version were copied into the repository. A version that is pushed has a card, lineage and tags.</p>
      </Panel>
    );
  const l = r.lineage;
  const entries = (x: object | undefined) => Object.entries(x ?? {}).map(([k, v]): [string, string] => [k, typeof v === "string" ? v : JSON.stringify(v)]);
  return (
    <Panel title="Origin">
      <Facts
        of={[
          ["Pushed", `${clock(r.pushed_at)} by ${r.pushed_by.actor}${r.pushed_by.reason ? `: “${r.pushed_by.reason}”` : ""}`],
          ["Made by", r.producer],
          ["Operators", entries(r.opsets).map(([k, v]) => `${k} ${v}`).join(", ")],
          ["Parent", l?.parent ? <a href={link("models", of.model, l.parent)}>v{l.parent}</a> : undefined],
          ["Data", l?.data_snapshot],
          ["Code", l?.code_revision],
          ["Run", l?.run],
          ["Source", l?.source],
          ["Metrics", l?.metrics && entries(l.metrics).map(([k, v]) => `${k} ${v}`).join(", ")],
          ["Tags", entries(r.tags).map(([k, v]) => `${k}=${v}`).join(", ")],
        ]}
      />
      {r.card && (
        <>
          <h3>Card</h3>
          <Facts of={entries(r.card)} />
        </>
      )}
    </Panel>
  );
}

/** What the events about loads have in common. */
interface Load {
  version?: number;
  role?: string;
  digest?: string;
  cause?: string;
  reason?: string;
}

const loadOf = (e: Schemas["Event"]) => (e.after ?? {}) as Load;

const loads: PlainColumn<Schemas["Event"]>[] = [
  { title: "Time", cell: (e) => clock(e.time) },
  { title: "Event", cell: (e) => e.type },
  { title: "Version", cell: (e) => (loadOf(e).version ? `v${loadOf(e).version}${loadOf(e).role === "shadow" ? " as shadow" : ""}` : "") },
  { title: "Files", cell: (e) => (loadOf(e).digest ? <span class="mono">{short(loadOf(e).digest)}</span> : "") },
  { title: "Cause", cell: (e) => loadOf(e).cause },
  { title: "Reason", wrap: true, cell: (e) => [loadOf(e).reason || e.reason].filter((text) => text !== loadOf(e).cause).join() },
];

/** Past lists when versions of a model began and stopped serving. */
function Past({ name, states }: { name: string; states: string | undefined }) {
  const may = canAll("admin");
  const list = useLoad(() => (may ? newest({ subject: `models/${name}/`, type: "version.,batching.,breaker." }, 30) : Promise.resolve(undefined)), [name, may, states]);
  if (!may) return <p class="dim small">The history of loads is in the journal, which needs the action ‘admin’ on all models.</p>;
  return (
    <Panel title="History of loads">
      {list.error !== undefined && !list.data && <Problem error={list.error} retry={list.again} />}
      {list.data && !list.data.events.length && <Empty>The journal has no loads of this model.</Empty>}
      {list.data && list.data.events.length > 0 && <PlainTable label="History of loads" columns={loads} rows={list.data.events} keyOf={(e) => e.seq} />}
    </Panel>
  );
}
