import { useMemo, useState } from "preact/hooks";
import { absent, begin, history, type Past } from "../api/history";
import { ask, change, client, type Schemas } from "../api/client";
import { newest, type Event } from "../api/journal";
import type { Route } from "../api/live";
import { can, canAll, missing } from "../api/session";
import { Act } from "../ui/act";
import { Empty, Panel, Problem, State } from "../ui/bits";
import { Chart, type Line } from "../ui/chart";
import { clock, count, digits, none, parseDuration, percent, points, seconds } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { useLoad } from "../ui/use";
import { put } from "./routeedit";

const spans: [string, string][] = [
  ["15m", "15 minutes"],
  ["1h", "hour"],
  ["6h", "6 hours"],
  ["24h", "24 hours"],
  ["168h", "7 days"],
  ["720h", "30 days"],
];

/** pause returns the time between two looks at a span, in ms: about that of a point of the charts, at most a minute. */
const pause = (span: string) => Math.min(Math.max((parseDuration(span) * 1000) / 180, 5000), 60_000);

/** RouteCharts draws what the variants of a route did, over each other. */
export function RouteCharts({ route }: { route: Route }) {
  const [span, setSpan] = useState("15m");
  const past = useLoad(() => history({ routes: [route.name] }, span, 180), [route.name, span], pause(span));
  const data = past.data;
  const variants = useMemo(() => data?.routes[0]?.variants ?? [], [data]);
  const [x, first] = useMemo((): [number[], number] => {
    const step = parseDuration(data?.step);
    const all = Array.from({ length: variants[0]?.requests.length ?? 0 }, (_, i) => Date.parse(data!.from) / 1000 + i * step);
    const begun = data ? begin(data, all.length) : 0;
    return [all.slice(begun), begun];
  }, [data]);
  const lines = (of: (p: Past) => (number | null)[]): Line[] =>
    variants.map((v, i) => ({ label: `v${v.version} ${v.role}`, color: v.role === "stable" ? 0 : v.role === "canary" ? 1 : v.role === "control" ? 2 : 3 + i, dash: v.role === "shadow", values: of(v).slice(first) }));
  if (past.error !== undefined && !data) return <Problem error={past.error} retry={past.again} />;
  if (absent.value) return <Empty>This gateway keeps no history.</Empty>;
  const longest = parseDuration(data?.max_span);
  const offered = spans.filter(([s]) => s === span || !(parseDuration(s) > longest));
  return (
    <>
      <label class="span">
        <span>The last</span>
        <select name="span" value={span} onChange={(e) => setSpan(e.currentTarget.value)}>
          {offered.map(([s, title]) => (
            <option key={s} value={s}>
              {title}
            </option>
          ))}
        </select>
        {longest <= 3600 && <span class="dim small">More needs a Prometheus server (prometheus.url).</span>}
      </label>
      {past.error !== undefined && <Problem error={past.error} retry={past.again} />}
      {x.length === 0 ? (
        <Empty>{past.loading ? "Reading the history." : "The variants had no requests in this time."}</Empty>
      ) : (
        <div class="charts">
          <Chart title="Requests per second" time x={x} lines={lines((p) => p.requests)} />
          <Chart title="Errors per second" time x={x} lines={lines((p) => p.errors)} />
          <Chart title="Latency, p50" time x={x} lines={lines((p) => p.p50)} format={seconds} />
          <Chart title="Latency, p99" time x={x} lines={lines((p) => p.p99)} format={seconds} />
        </div>
      )}
    </>
  );
}

/** Shadows shows how the answers of shadows agree with those that callers got. */
export function Shadows({ route, stats }: { route: Route; stats: Schemas["ShadowStats"][] | undefined }) {
  const may = can("statistics", route.name);
  const report = useLoad(() => (may ? ask(client.GET("/api/v1/routes/{name}/shadows", { params: { path: { name: route.name } } })) : Promise.resolve(undefined)), [route.name, route.revision, may], 5000);
  if (!route.shadows.length) return null;
  const compared = (report.data?.shadows ?? []).filter((c) => c.compared > 0);
  return (
    <Panel title="Shadows">
      {report.error !== undefined && !report.data && <Problem error={report.error} retry={report.again} />}
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Shadows of the route">
        <table class="plain">
          <thead>
            <tr>
              <th>Version</th>
              <th>State</th>
              <th class="n">Sample</th>
              <th class="n">Answered</th>
              <th class="n">Errors</th>
              <th class="n">Dropped</th>
              <th>Against</th>
              <th class="n">Compared</th>
              <th class="n">Differ</th>
              <th class="n">Disagree</th>
              <th class="n">95 % interval</th>
              <th class="n">p50, shadow / served</th>
            </tr>
          </thead>
          <tbody>
            {route.shadows.flatMap((s) => {
              const own = stats?.find((x) => x.version === s.version);
              const list = compared.filter((c) => c.version === s.version);
              const dropped = Object.values(own?.dropped ?? {}).reduce((a, b) => a + b, 0);
              const head = (
                <>
                  <td>v{s.version}</td>
                  <td>
                    <State of={own?.state ?? ""} />
                  </td>
                  <td class="n">{points(s.sample)}</td>
                  <td class="n">{count(own?.answered)}</td>
                  <td class="n">{count(own?.errors)}</td>
                  <td class="n">{count(dropped)}</td>
                </>
              );
              if (!list.length)
                return [
                  <tr key={s.version}>
                    {head}
                    <td colSpan={6} class="dim">
                      nothing compared yet
                    </td>
                  </tr>,
                ];
              return list.map((c) => (
                <tr key={`${c.version} ${c.against}`}>
                  {head}
                  <td>v{c.against}</td>
                  <td class="n">{count(c.compared)}</td>
                  <td class="n">{percent(c.compared ? c.differing / c.compared : null)}</td>
                  <td class="n">{percent(c.disagreement)}</td>
                  <td class="n">
                    {percent(c.disagreement_low)} – {percent(c.disagreement_high)}
                  </td>
                  <td class="n">
                    {seconds(c.candidate.p50_us / 1e6)} / {seconds(c.reference.p50_us / 1e6)}
                  </td>
                </tr>
              ));
            })}
          </tbody>
        </table>
      </div>
      {compared.map((c) => (
        <p key={`${c.version} ${c.against}`} class="small dim">
          v{c.version} and v{c.against}:{" "}
          {c.outputs.map((o) => `${o.name}: ${percent(o.equal_share)} of the elements equal, largest difference ${digits(o.max_absolute)}${o.top1_rows ? `, same best class in ${percent(o.top1_agree / o.top1_rows)}` : ""}`).join("; ")}
        </p>
      ))}
    </Panel>
  );
}

/** The part of a state of a route that a PUT takes. */
type Kept = Schemas["RouteInput"] & { slots?: unknown; revision?: number };

function weightsOf(state: unknown): string {
  const r = state as Kept | undefined;
  return r?.variants ? r.variants.map((v) => `v${v.version} ${points(v.weight)}`).join(", ") : none;
}

/** Changes lists the changes of a route, with a way back. */
export function Changes({ route }: { route: Route }) {
  const may = canAll("admin");
  const list = useLoad(() => (may ? newest({ subject: `routes/${route.name}` }, 20) : Promise.resolve(undefined)), [route.name, route.revision, may]);
  const lacks = missing("route", route.name);
  const undo = (e: Event) => async (reason: string) => {
    if (e.before === undefined) {
      const header = change(reason, route.revision) as { "If-Match": string };
      await ask(client.DELETE("/api/v1/routes/{name}", { params: { path: { name: route.name }, header } }));
      return;
    }
    const { slots: _slots, revision: _revision, ...body } = e.before as Kept;
    await put(route.name, body, route.revision, reason);
  };
  const back = (e: Event) => (
    <Act
      label="Go back"
      title="Make the route what it was before this change"
      missing={lacks}
      initial={`back to before event ${e.seq}`}
      says={<p>{e.before === undefined ? "The route is deleted: its model serves its newest version." : `The route becomes what it was before this change: ${weightsOf(e.before)}.`}</p>}
      run={undo(e)}
    />
  );
  const columns: PlainColumn<Event>[] = [
    { title: "Time", cell: (e) => clock(e.time) },
    { title: "By", cell: (e) => e.actor || e.origin },
    { title: "Became", cell: (e) => (e.after === undefined ? "deleted" : weightsOf(e.after)) },
    { title: "Reason", wrap: true, cell: (e) => e.reason },
    { number: true, cell: back },
  ];
  return (
    <Panel title="Changes">
      {!may && <p class="dim small">Who changed the route is in the journal, which needs the action ‘admin’ on all models.</p>}
      {list.error !== undefined && !list.data && <Problem error={list.error} retry={list.again} />}
      {list.data && list.data.events.length === 0 && <Empty>The route has not changed.</Empty>}
      {list.data && list.data.events.length > 0 && (
        <PlainTable label="Changes of the route" columns={columns} rows={list.data.events} keyOf={(e) => e.seq} />
      )}
    </Panel>
  );
}
