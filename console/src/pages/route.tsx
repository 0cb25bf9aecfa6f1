import { useEffect } from "preact/hooks";
import { counters, models, rollouts, routes, seen, watchCounters, type Route, type RouteStats } from "../api/live";
import { Empty, Facts, Panel, State } from "../ui/bits";
import { count, digits, duration, none, parseDuration, percent, points } from "../ui/format";
import { Interval } from "../ui/interval";
import { link, linkWith } from "../ui/router";
import { RouteEdit } from "./routeedit";
import { Changes, RouteCharts, Shadows } from "./routemore";

type VariantStats = RouteStats["variants"][number];

/** RoutePage shows a route: who gets what, how they do, and a way to change it. */
export function RoutePage({ name }: { name: string }) {
  useEffect(() => watchCounters([name]), [name]);
  const route = routes.value.get(name);
  const stats = counters.value.get(name);
  if (!route) return <Empty>{seen.value ? `There is no route ‘${name}’ that you may see.` : "Waiting for the gateway."}</Empty>;
  return (
    <>
      <Head route={route} />
      <Panel title="Traffic" side={<span class="dim">{route.revision ? `revision ${route.revision}` : "implied: no route is declared"}</span>}>
        <RouteEdit key={name} route={route} />
      </Panel>
      <Panel title="Variants">
        <Variants route={route} stats={stats} />
        <RouteCharts route={route} />
      </Panel>
      <Shadows route={route} stats={stats?.shadows} />
      <Changes route={route} />
    </>
  );
}

function Head({ route }: { route: Route }) {
  const rollout = rollouts.value.get(route.name);
  const s = route.sticky;
  const fallback = route.fallback;
  return (
    <div class="head">
      <h1>
        <span class="dim">Route</span> {route.name}
      </h1>
      <Facts
        of={[
          ["Model", <a href={link("models", route.model)}>{route.model}</a>],
          ["Sticky by", s?.header ? `header ${s.header}` : s?.parameter ? `parameter ${s.parameter}` : "nothing: random"],
          ["Fallback", fallback == null ? "none" : fallback === "stable" ? "stable" : `v${fallback}`],
          ["Rollout", rollout ? <a href={link("rollouts", route.name)}>{<State of={rollout.state} />}</a> : <a href={link("rollouts", route.name)}>plan one</a>],
          ["Journal", <a href={linkWith("journal", { subject: `routes/${route.name}` })}>changes</a>],
        ]}
      />
    </div>
  );
}

function perSecond(v: VariantStats | undefined): number | null {
  const window = parseDuration(v?.recent.window);
  return v && window > 0 ? v.recent.requests / window : null;
}

type ErrorRate = VariantStats["error_rate"];

/** Rate shows a rate of errors with its interval, drawn from 0 to the largest one of all variants. */
function Rate({ of, most }: { of: ErrorRate; most: number }) {
  return (
    <span class="rate">
      <Interval low={of.low / most} at={of.rate / most} high={of.high / most} />
      {percent(of.rate)}{" "}
      <span class="dim">
        ({percent(of.low)} – {percent(of.high)})
      </span>
    </span>
  );
}

/** Variants compares the variants of a route, one in a column. */
function Variants({ route, stats }: { route: Route; stats: RouteStats | undefined }) {
  const of = (i: number) => {
    const v = route.variants[i]!;
    return stats?.variants.find((x) => x.version === v.version && x.role === v.role);
  };
  const most = (rate: (v: VariantStats) => ErrorRate) => Math.max(...(stats?.variants ?? []).filter((v) => v.total.requests > 0).map((v) => rate(v).high), 1e-6);
  const [mostEver, mostRecent] = [most((v) => v.error_rate), most((v) => v.recent.error_rate)];
  const rows: [string, (v: VariantStats | undefined, i: number) => unknown][] = [
    ["Weight", (_v, i) => points(route.variants[i]!.weight)],
    ["State", (v, i) => <State of={v?.state ?? models.value.get(route.model)?.find((m) => m.version === route.variants[i]!.version)?.state ?? ""} />],
    ["Breaker", (v) => (v ? <State of={v.breaker} /> : none)],
    ["Requests", (v) => count(v?.total.requests)],
    ["Errors", (v) => count(v?.total.errors)],
    ["Error rate, 95 % interval", (v) => (v?.total.requests ? <Rate of={v.error_rate} most={mostEver} /> : none)],
    ["Fallbacks", (v) => count(v?.total.fallbacks)],
    ["Refused", (v) => count(v?.total.refused)],
    ["Without a key", (v) => count(v?.total.random)],
    ["Recent req/s", (v) => digits(perSecond(v))],
    ["Recent error rate, 95 % interval", (v) => (v?.recent.requests ? <Rate of={v.recent.error_rate} most={mostRecent} /> : none)],
    ["Recent p50", (v) => (v?.recent.requests ? duration(v.recent.p50) : none)],
    ["Recent p99", (v) => (v?.recent.requests ? duration(v.recent.p99) : none)],
  ];
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Variants, compared">
      <table class="compare">
        <thead>
          <tr>
            <th />
            {route.variants.map((v) => (
              <th key={`${v.version} ${v.role}`} class={`n ${v.role}`}>
                <a href={link("models", route.model, v.version)}>v{v.version}</a> {v.role}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([title, cell]) => (
            <tr key={title}>
              <th scope="row">{title}</th>
              {route.variants.map((_, i) => (
                <td key={i} class="n">
                  {cell(of(i), i) as string}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
