import { useEffect, useMemo, useState } from "preact/hooks";
import { begin, history, last, type Past } from "../api/history";
import { counters, drift, models, rollouts, routes, seen, signals, watchCounters, type DriftStatus, type Model, type Rollout, type Route, type RouteStats } from "../api/live";
import { Empty, State } from "../ui/bits";
import { count, digits, none, parseDuration, percent, points, seconds } from "../ui/format";
import { link } from "../ui/router";
import { Spark } from "../ui/spark";
import { sorted, Table, type Column, type Sorting } from "../ui/table";
import { useLoad, useSettled } from "../ui/use";

/** A row of the overview: a name that requests can ask for. */
interface Row {
  name: string;
  versions: readonly Model[];
  route: Route | undefined;
  rollout: Rollout | undefined;
  drift: readonly DriftStatus[];
  stats: RouteStats | undefined;
  past: Past | undefined;
}

/** The max number of names whose counters are asked for by themselves, and of those with a history. */
const fewNames = 300;
const maxHistory = 60;

const worstFirst = ["UNAVAILABLE", "UNLOADING", "LOADING", "READY", "ARCHIVED", "REGISTERED"];

/** stateOf returns the worst state of the versions of a model. */
function stateOf(versions: readonly Model[]): string {
  const live = versions.filter((v) => v.role !== "shadow");
  const list = (live.length ? live : versions).map((v) => v.state);
  return worstFirst.find((s) => list.includes(s)) ?? list[0] ?? "";
}

const worstDrift = ["DETECTED", "SUSPECTED", "RECOVERING", "OFF", "UNJUDGED", "OK"];

function driftOf(list: readonly DriftStatus[]): string {
  return worstDrift.find((s) => list.some((d) => d.state === s)) ?? "";
}

/** rate sums what variants did in the last minute or two, by second. */
function rate(stats: RouteStats | undefined, of: (v: RouteStats["variants"][number]["recent"]) => number): number | null {
  if (!stats) return null;
  let sum = 0;
  for (const v of stats.variants) {
    const window = parseDuration(v.recent.window);
    if (window > 0) sum += of(v.recent) / window;
  }
  return sum;
}

/** busiest returns a latency of the variant with the most requests. */
function busiest(stats: RouteStats | undefined, of: "p50" | "p99"): number | null {
  const most = stats?.variants.reduce((a, b) => (b.recent.requests > a.recent.requests ? b : a), stats.variants[0]!);
  return most && most.recent.requests > 0 ? parseDuration(most.recent[of]) : null;
}

const requestsOf = (r: Row) => rate(r.stats, (x) => x.requests) ?? last(r.past?.requests);
const errorsOf = (r: Row) => {
  const all = requestsOf(r);
  const bad = rate(r.stats, (x) => x.errors) ?? last(r.past?.errors);
  return all && bad != null ? bad / all : all === 0 ? 0 : null;
};
const latencyOf = (r: Row, q: "p50" | "p99") => busiest(r.stats, q) ?? last(r.past?.[q]);

const columns: Column<Row>[] = [
  { key: "name", title: "Model or route", sort: (r) => r.name, cell: (r) => <Name row={r} /> },
  { key: "state", title: "State", sort: (r) => worstFirst.indexOf(stateOf(r.versions)), cell: (r) => <State of={stateOf(r.versions)} /> },
  { key: "versions", title: "Serves", wide: true, cell: (r) => <Serves row={r} /> },
  { key: "spark", title: "Requests, 15 min", wide: true, cell: (r) => <Spark of={r.past?.requests} label={`requests of ${r.name}`} /> },
  { key: "rate", title: "Req/s", number: true, sort: (r) => requestsOf(r) ?? -1, cell: (r) => digits(requestsOf(r)) },
  { key: "errors", title: "Errors", number: true, sort: (r) => errorsOf(r) ?? -1, cell: (r) => <Errors share={errorsOf(r)} /> },
  { key: "p50", title: "p50", number: true, wide: true, sort: (r) => latencyOf(r, "p50") ?? -1, cell: (r) => seconds(latencyOf(r, "p50")) },
  { key: "p99", title: "p99", number: true, sort: (r) => latencyOf(r, "p99") ?? -1, cell: (r) => seconds(latencyOf(r, "p99")) },
  { key: "queue", title: "Queue", number: true, wide: true, sort: (r) => last(r.past?.queue) ?? -1, cell: (r) => count(last(r.past?.queue)) },
  { key: "drift", title: "Drift", sort: (r) => worstDrift.indexOf(driftOf(r.drift)), cell: (r) => <Drift row={r} /> },
];

function Name({ row }: { row: Row }) {
  return (
    <span class="name">
      <a href={row.route?.revision ? link("routes", row.name) : link("models", row.name)}>{row.name}</a>
      {row.route && row.route.model !== row.name && <span class="dim"> of {row.route.model}</span>}
    </span>
  );
}

function Serves({ row }: { row: Row }) {
  const active = row.rollout && !["COMPLETED", "ROLLED_BACK"].includes(row.rollout.state) ? row.rollout : undefined;
  return (
    <span>
      {row.route
        ? row.route.variants.map((v, i) => (
            <span key={`${v.version} ${v.role}`} class={`share ${v.role}`}>
              {i > 0 && " "}
              <a href={link("models", row.route!.model, v.version)}>v{v.version}</a> <span class="dim">{points(v.weight)}</span>
            </span>
          ))
        : none}
      {active && (
        <a href={link("rollouts", row.name)}>
          {" "}
          <State of={active.state} />
        </a>
      )}
    </span>
  );
}

function Errors({ share }: { share: number | null }) {
  return <span class={share && share > 0.01 ? "bad-text" : ""}>{percent(share)}</span>;
}

function Drift({ row }: { row: Row }) {
  const state = driftOf(row.drift);
  return state ? (
    <a href={link("drift", row.drift[0]!.model)}>
      <State of={state} />
    </a>
  ) : (
    <span class="dim">{none}</span>
  );
}

/** rowsOf joins what is known of each name: of the models, and of routes with other names. */
function rowsOf(pasts: ReadonlyMap<string, Past>): Row[] {
  const names = new Set([...models.value.keys(), ...routes.value.keys()]);
  const list: Row[] = [];
  for (const name of names) {
    const route = routes.value.get(name);
    const model = route?.model ?? name;
    list.push({
      name,
      route,
      versions: models.value.get(model) ?? [],
      rollout: rollouts.value.get(name),
      drift: drift.value.get(model) ?? [],
      stats: counters.value.get(name),
      past: pasts.get(name),
    });
  }
  return list;
}

const byCounters = new Set(["rate", "errors", "p50", "p99"]);

/** Overview shows all models and whether they are well. */
export function Overview() {
  const [search, setSearch] = useState("");
  const [sorting, setSorting] = useState<Sorting>({ key: "name", down: false });
  const [visible, setVisible] = useState<readonly string[]>([]);
  const names = useSettled(visible, 300);
  const few = models.value.size + routes.value.size <= fewNames;
  const everyone = few || byCounters.has(sorting.key);
  const key = everyone ? "*" : names.join(",");
  useEffect(() => watchCounters(everyone ? ["*"] : names), [key]);
  const past = useLoad(() => (names.length ? history({ models: names.slice(0, maxHistory) }, "15m", 60) : Promise.resolve(null)), [names.join(",")], 15_000);
  const pasts = useMemo(() => new Map((past.data?.models ?? []).map((m) => [m.name, { ...m, requests: m.requests.slice(begin(past.data!, m.requests.length)) }])), [past.data]);
  const all = rowsOf(pasts);
  const wanted = search.trim().toLowerCase();
  const found = wanted ? all.filter((r) => r.name.toLowerCase().includes(wanted) || stateOf(r.versions).toLowerCase() === wanted) : all;
  const rows = sorted(found, columns, sorting);
  return (
    <>
      <Summary rows={all} counted={everyone} />
      <div class="bar">
        <label>
          <span class="hidden">Search</span>
          <input type="search" placeholder="Search names or a state" value={search} onInput={(e) => setSearch(e.currentTarget.value)} />
        </label>
        <span class="dim">{wanted ? `${count(rows.length)} of ${count(all.length)}` : count(all.length)} names</span>
      </div>
      {rows.length > 0 ? (
        <Table label="Models and routes" columns={columns} rows={rows} keyOf={(r) => r.name} sorting={sorting} onSort={setSorting} top={wanted} onVisible={(list) => setVisible(list.map((r) => r.name))} />
      ) : (
        <Empty>{!seen.value ? "Waiting for the gateway." : all.length ? "No name matches the search." : "The repository has no models that you may see."}</Empty>
      )}
    </>
  );
}

/** Summary counts what needs attention. The counters are those of all rows, or only of those that the table shows. */
function Summary({ rows, counted }: { rows: readonly Row[]; counted: boolean }) {
  const failed = rows.filter((r) => stateOf(r.versions) === "UNAVAILABLE").length;
  const moved = [...drift.value.values()].filter((list) => driftOf(list) === "DETECTED").length;
  const open = [...signals.value.values()].filter((s) => s.state === "open").length;
  const active = [...rollouts.value.values()].filter((r) => !["COMPLETED", "ROLLED_BACK"].includes(r.state));
  const total = rows.reduce((sum, r) => sum + (requestsOf(r) ?? 0), 0);
  return (
    <div class="tiles">
      <Tile n={digits(total)} what={counted ? "requests per second" : "requests per second, of the rows in sight"} tone="" />
      <Tile n={count(failed)} what="models not ready" tone={failed ? "bad" : "good"} />
      <Tile n={count(active.length)} what="rollouts in progress" tone={active.length ? "busy" : ""} />
      <Tile n={count(moved)} what="models drift" tone={moved ? "bad" : "good"} />
      <Tile n={count(open)} what="open signals" tone={open ? "warn" : ""} />
    </div>
  );
}

function Tile({ n, what, tone }: { n: string; what: string; tone: string }) {
  return (
    <div class={`tile ${tone}`}>
      <b>{n}</b> <span>{what}</span>
    </div>
  );
}
