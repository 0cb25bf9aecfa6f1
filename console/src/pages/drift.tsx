import { useMemo, useState } from "preact/hooks";
import { ask, client, type Schemas } from "../api/client";
import { newest } from "../api/journal";
import { drift, seen, type DriftStatus } from "../api/live";
import { canAll, canSome, missing } from "../api/session";
import { Empty, Facts, Panel, Problem, State } from "../ui/bits";
import { Chart } from "../ui/chart";
import { clock, count, digits, none, percent, real } from "../ui/format";
import { link } from "../ui/router";
import { useLoad } from "../ui/use";
import { Overlay } from "./distribution";
import { Labels } from "./labels";
import { Signals } from "./signals";

type Finding = Schemas["DriftFinding"];

const order = ["DETECTED", "SUSPECTED", "RECOVERING", "OFF", "UNJUDGED", "OK"];

/** DriftList shows all streams, those that drift first, and all signals. */
export function DriftList() {
  if (!canSome("statistics")) return <Empty>{missing("statistics", "*") || "Drift needs the action ‘statistics’."}</Empty>;
  const list = [...drift.value.values()].flat().sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.model.localeCompare(b.model));
  return (
    <>
      <h1>Drift</h1>
      <Panel title="Streams">
        {list.length === 0 ? (
          <Empty>{seen.value ? "No version has a profile to be compared with." : "Waiting for the gateway."}</Empty>
        ) : (
          <div class="scroll-x" tabIndex={0} role="region" aria-label="Streams">
            <table class="plain">
              <thead>
                <tr>
                  <th>Model</th>
                  <th>Role</th>
                  <th>State</th>
                  <th>Since</th>
                  <th class="n">Windows</th>
                  <th class="n">Rows</th>
                  <th>Strongest evidence</th>
                </tr>
              </thead>
              <tbody>
                {list.map((d) => (
                  <tr key={`${d.model} ${d.version} ${d.role}`}>
                    <td>
                      <a href={link("drift", d.model)}>{d.model}</a> v{d.version}
                    </td>
                    <td>{d.role}</td>
                    <td>
                      <State of={d.state} />
                    </td>
                    <td>{clock(d.since)}</td>
                    <td class="n">{count(d.windows)}</td>
                    <td class="n">{count(d.rows)}</td>
                    <td class="wrap">{d.reason || first(d)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
      <Panel title="Signals">
        <Signals model="" />
      </Panel>
    </>
  );
}

function first(d: DriftStatus): string {
  const f = d.last?.features[0];
  return f ? `${f.feature}: ${f.change || `effect ${digits(f.effect)}`}` : "";
}

/** DriftPage shows how the requests and answers of a model compare with its reference. */
export function DriftPage({ model }: { model: string }) {
  const list = drift.value.get(model) ?? [];
  return (
    <>
      <h1>
        <span class="dim">Drift of</span> <a href={link("models", model)}>{model}</a>
      </h1>
      {list.length === 0 && <Empty>{!canSome("statistics") ? missing("statistics", model) : seen.value ? "No version of this model has a profile to be compared with." : "Waiting for the gateway."}</Empty>}
      {list.map((d) => (
        <Stream key={`${d.version} ${d.role}`} d={d} />
      ))}
      <Labels model={model} />
      <Panel title="Signals">
        <Signals model={model} />
      </Panel>
    </>
  );
}

function Stream({ d }: { d: DriftStatus }) {
  const [chosen, choose] = useState("");
  const features = d.last?.features ?? [];
  const quality = d.last?.quality ?? [];
  const key = chosen || (features[0] ? keyOf(features[0]) : "");
  return (
    <Panel title={`Version ${d.version}, ${d.role}`} side={<State of={d.state} />}>
      {d.reason && <div class="notice warn">{d.reason}</div>}
      <Facts
        of={[
          ["Since", real(d.since) ? clock(d.since) : undefined],
          ["Windows judged", count(d.windows)],
          ["Rows", count(d.rows)],
          ["Waiting", `${count(d.waiting)}${d.min_rows ? ` of at least ${count(d.min_rows)}` : ""}`],
          ["Dropped", d.dropped ? count(d.dropped) : undefined],
          ["Reference", `${count(d.reference_rows)} rows, ${d.profile_from ?? none}`],
          ["Last window", d.last && `${clock(d.last.window.start)} – ${clock(d.last.window.end)}, ${count(d.last.rows)} rows`],
          ["Promise", d.promise],
        ]}
      />
      {d.last?.reason && <p class="dim">{d.last.reason}</p>}
      {features.length > 0 && <Findings title="Distributions, the strongest evidence first" effect="PSI" list={features} chosen={key} choose={choose} />}
      {d.last && (quality.length > 0 ? <Findings title="Quality" effect="Share beyond" list={quality} chosen={key} choose={choose} /> : <p class="dim small">No missing, infinite or out-of-range values beyond those of the reference.</p>)}
      {!d.last && !d.reason && <Empty>No window has been judged yet.</Empty>}
      {key && <Shape d={d} feature={key} />}
      {key && <Evidence d={d} feature={key} />}
    </Panel>
  );
}

const keyOf = (f: Finding) => `${f.kind} ${f.feature} ${f.statistic}`;

function Findings({ title, effect, list, chosen, choose }: { title: string; effect: string; list: readonly Finding[]; chosen: string; choose: (key: string) => void }) {
  const most = Math.max(...list.map((f) => (Number.isFinite(f.high) ? f.high : 0)), 1e-6);
  return (
    <>
      <h3>{title}</h3>
      <div class="scroll-x findings" tabIndex={0} role="region" aria-label={title}>
        <table class="plain">
          <thead>
            <tr>
              <th>Feature</th>
              <th>State</th>
              <th>Since</th>
              <th>Change</th>
              <th class="n">{effect}</th>
              <th class="n">95 % interval</th>
              <th>Interval</th>
              <th class="n">p</th>
            </tr>
          </thead>
          <tbody>
            {list.map((f) => (
              <tr key={keyOf(f)} class={keyOf(f) === chosen ? "chosen" : ""}>
                <td>
                  <button type="button" class="plain-button" aria-pressed={keyOf(f) === chosen} onClick={() => choose(keyOf(f))}>
                    {f.feature}
                  </button>{" "}
                  <span class="dim">{f.statistic === "g" ? f.kind : f.statistic}</span>
                </td>
                <td>
                  <State of={f.state} />
                </td>
                <td>{clock(f.began)}</td>
                <td class="wrap">{f.change}</td>
                <td class="n">{effect === "PSI" ? digits(f.effect) : percent(f.effect)}</td>
                <td class="n">
                  {digits(f.low)} – {digits(f.high)}
                </td>
                <td>
                  <Interval low={f.low / most} at={f.effect / most} high={f.high / most} />
                </td>
                <td class="n">{digits(f.p)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** Interval draws an effect with its interval, on a scale that the rows of a table share. */
function Interval({ low, at, high }: { low: number; at: number; high: number }) {
  const w = 110;
  const x = (n: number) => 3 + Math.min(Math.max(n, 0), 1) * (w - 6);
  return (
    <svg width={w} height={14} class="interval" aria-hidden="true">
      <line x1={x(low)} x2={x(high)} y1={7} y2={7} />
      <circle cx={x(at)} cy={7} r={3} />
    </svg>
  );
}

/** Shape draws the distribution of the chosen feature in the reference and in the last window. */
function Shape({ d, feature }: { d: DriftStatus; feature: string }) {
  const report = useLoad(() => ask(client.GET("/api/v1/drift/{model}/report", { params: { path: { model: d.model } } })), [d.model, d.windows]);
  if (report.error !== undefined && !report.data) return <Problem error={report.error} retry={report.again} />;
  const stream = report.data?.find((r) => r.version === d.version && r.role === d.role);
  const shape = stream?.distributions.find((x) => feature.startsWith(`${x.kind} ${x.feature} `));
  return shape ? <Overlay of={shape} /> : null;
}

/** Evidence draws the effect of a feature over the windows that changed a state, from the events of the journal. */
function Evidence({ d, feature }: { d: DriftStatus; feature: string }) {
  const may = canAll("admin");
  const past = useLoad(async () => (may ? (await newest({ type: "drift.state" }, 2000)).events : []), [d.model, d.windows, may]);
  const looks = useMemo(() => {
    const list: { at: number; f: Finding | undefined }[] = [];
    const find = (v: Schemas["DriftVerdict"]) => [...v.features, ...v.quality].find((f) => keyOf(f) === feature);
    for (const e of [...(past.data ?? [])].reverse()) {
      const a = e.after as { model: string; version: number; role: string; verdict?: Schemas["DriftVerdict"] } | undefined;
      if (a?.verdict && a.model === d.model && a.version === d.version && a.role === d.role) list.push({ at: Date.parse(a.verdict.window.end) / 1000, f: find(a.verdict) });
    }
    const end = d.last ? Date.parse(d.last.window.end) / 1000 : 0;
    if (d.last && !list.some((l) => l.at === end)) list.push({ at: end, f: find(d.last) });
    return list;
  }, [past.data, d, feature]);
  if (!may) return <p class="dim small">The evidence over time is in the journal, which needs the action ‘admin’ on all models.</p>;
  if (past.error !== undefined && !past.data) return <Problem error={past.error} retry={past.again} />;
  if (looks.length < 2) return null;
  const value = (of: (f: Finding) => number) => looks.map((l) => (l.f ? of(l.f) : null));
  return (
    <Chart
      title={`${feature.split(" ").slice(1, -1).join(" ")}: effect in the windows that changed the state, with its interval`}
      time
      x={looks.map((l) => l.at)}
      lines={[
        { label: "effect", color: 0, values: value((f) => f.effect), points: true },
        { label: "low", color: 2, dash: true, values: value((f) => f.low) },
        { label: "high", color: 2, dash: true, values: value((f) => f.high) },
      ]}
    />
  );
}
