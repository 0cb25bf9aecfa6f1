import { batch, signal, type Signal } from "@preact/signals";
import type { Schemas } from "./client";
import { Stream } from "./stream";

export type Model = Schemas["ModelStatus"];
export type Route = Schemas["Route"];
export type Rollout = Schemas["Rollout"];
export type DriftStatus = Schemas["DriftStatus"];
export type SignalDoc = Schemas["Signal"];
export type RouteStats = Schemas["RouteStats"];

type Table<T> = ReadonlyMap<string, T>;

/** The states of the gateway, as its stream tells them. Lists are by model; everything else is one document for a name. */
export const models = signal<Table<Model[]>>(new Map());
export const routes = signal<Table<Route>>(new Map());
export const rollouts = signal<Table<Rollout>>(new Map());
export const drift = signal<Table<DriftStatus[]>>(new Map());
export const signals = signal<Table<SignalDoc>>(new Map());
export const counters = signal<Table<RouteStats>>(new Map());

/** When the gateway wrote the last message of states, by its own clock. */
export const lastLook = signal("");

/** The last events of the journal that have come while the page is open, the newest first. */
export const events = signal<readonly Schemas["Event"][]>([]);
const maxEvents = 200;

/** seen is true once the states have come. */
export const seen = signal(false);

/** forget drops all that was seen, so that the next person at this screen does not see it. */
export function forget(): void {
  batch(() => {
    seen.value = false;
    events.value = [];
    for (const table of [models, routes, rollouts, drift, signals, counters]) table.value = new Map();
  });
}

/** single merges documents of which a name has one. */
function single<T>(to: Signal<Table<T>>, docs: readonly T[] | undefined, gone: string[] | undefined, whole: boolean, key: (t: T) => string): void {
  if (!docs?.length && !gone?.length && !whole) return;
  const next = whole ? new Map<string, T>() : new Map(to.value);
  for (const name of gone ?? []) next.delete(name);
  for (const doc of docs ?? []) next.set(key(doc), doc);
  to.value = next;
}

/** grouped merges documents that come with all others of their name. */
function grouped<T>(to: Signal<Table<T[]>>, docs: readonly T[] | undefined, gone: string[] | undefined, whole: boolean, key: (t: T) => string): void {
  const lists = new Map<string, T[]>();
  for (const doc of docs ?? []) {
    const list = lists.get(key(doc));
    if (list) list.push(doc);
    else lists.set(key(doc), [doc]);
  }
  if (!lists.size && !gone?.length && !whole) return;
  const next = whole ? new Map<string, T[]>() : new Map(to.value);
  for (const name of gone ?? []) next.delete(name);
  for (const [name, list] of lists) next.set(name, list);
  to.value = next;
}

/** The stream of states that every page shows. */
export const stream = new Stream({
  states(s) {
    batch(() => {
      const whole = s.whole ?? false;
      grouped(models, s.models, s.gone?.models, whole, (m) => m.name);
      single(routes, s.routes, s.gone?.routes, whole, (r) => r.name);
      single(rollouts, s.rollouts, s.gone?.rollouts, whole, (r) => r.spec.route);
      grouped(drift, s.drift, s.gone?.drift, whole, (d) => d.model);
      single(signals, s.signals, s.gone?.signals, whole, (x) => x.id);
      lastLook.value = s.at;
      seen.value = true;
    });
  },
  journal(e) {
    events.value = [e, ...events.value].slice(0, maxEvents);
  },
});

/** The stream of the counters of what a page shows. It is apart, so that another page does not send all states again. */
export const counterStream = new Stream({
  states(s) {
    single(counters, s.counters, s.gone?.counters, s.whole ?? false, (c) => c.name);
  },
});

/** watchCounters selects the routes whose counters are shown. An empty list closes the stream. A name with a comma cannot be selected. */
export function watchCounters(all: readonly string[]): void {
  const names = all.filter((n) => !n.includes(","));
  counterStream.watch(new URLSearchParams(names.length ? { counters: names.join(","), every: "2s" } : {}));
}

const hiddenFor = 10_000;
let hiding: ReturnType<typeof setTimeout> | undefined;

/** A page that nobody sees holds no connection: a browser has few of them for a host. */
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      stream.pause();
      counterStream.pause();
    }, hiddenFor);
  } else {
    for (const s of [stream, counterStream]) if (s.connection.value.state === "paused") s.restart();
  }
});

/** What a caller may watch. */
export interface WatchRights {
  statistics: boolean;
  journal: boolean;
}

/** watchStates opens the stream of states. */
export function watchStates(may: WatchRights): void {
  const query = new URLSearchParams({ models: "*", routes: "*", rollouts: "*" });
  if (may.statistics) {
    query.set("signals", "*");
    query.set("drift", "*");
  }
  if (may.journal) query.set("journal", "true");
  stream.watch(query);
}
