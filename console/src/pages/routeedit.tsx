import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, change, client, type Schemas } from "../api/client";
import { routes, type Route } from "../api/live";
import { servedNow } from "../api/past";
import { missing, refused } from "../api/session";
import { Missing, Reason } from "../ui/act";
import { Problem } from "../ui/bits";
import { clock, count, points } from "../ui/format";
import { useSettled } from "../ui/use";
import { SlotBar } from "./slots";

/** A change that a person prepares: weights, and the route that they were made from. */
interface Draft {
  of: Route;
  weights: number[];
}

const weightsOf = (r: Route) => r.variants.map((v) => v.weight);
const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((v, i) => v === b[i]);
const nameOf = (v: { version: number; alias?: string }) => `v${v.version}${v.alias ? ` @${v.alias}` : ""}`;

/** bodyOf returns the body of a PUT that makes a route what it is, with other weights. */
export function bodyOf(r: Route, weights: readonly number[] = weightsOf(r)): Schemas["RouteInput"] {
  const { name, model, sticky, fallback, seed } = r;
  const body: Schemas["RouteInput"] = { name, model, seed, shadows: r.shadows, variants: r.variants.map((v, i) => ({ ...v, role: v.role as "stable", weight: weights[i] ?? v.weight })) };
  if (sticky) body.sticky = sticky;
  if (fallback != null) body.fallback = fallback;
  return body;
}

/** put replaces a route, or says what that would change. */
export function put(name: string, body: Schemas["RouteInput"], revision: number, reason: string, dryRun = false): Promise<Schemas["RouteResult"]> {
  const header = change(reason, revision) as { "If-Match": string };
  return ask(client.PUT("/api/v1/routes/{name}", { params: { path: { name }, query: dryRun ? { dry_run: true } : {}, header }, body }));
}

/** changeOf returns who made the present revision of a route, and why. It needs no right beside that to see the route. */
async function changeOf(name: string): Promise<Schemas["Event"] | undefined> {
  return (await servedNow(name).catch(() => undefined))?.change;
}

/** RouteEdit is the bar of a route, and what a change of it would do. */
export function RouteEdit({ route }: { route: Route }) {
  const [draft, setDraft] = useState<Draft | undefined>();
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const lacks = missing("route", route.name);
  const of = draft?.of ?? route;
  const weights = draft?.weights ?? weightsOf(route);
  const conflict = draft !== undefined && draft.of.revision !== route.revision;
  const edit = (next: number[]) => {
    setError(undefined);
    setDraft(same(next, weightsOf(of)) && of.revision === route.revision ? undefined : { of, weights: next });
  };
  const drop = () => {
    setDraft(undefined);
    setError(undefined);
  };
  const rebase = () => {
    setError(undefined);
    setDraft(route.variants.length === weights.length ? { of: route, weights } : undefined);
  };
  const apply = async (event: Event) => {
    event.preventDefault();
    if (!draft) return;
    setBusy(true);
    setError(undefined);
    try {
      const done = await put(route.name, bodyOf(draft.of, draft.weights), draft.of.revision, reason.trim());
      const { slots_moved: _moved, dry_run: _dry, ...now } = done;
      routes.value = new Map(routes.value).set(route.name, now);
      setDraft(undefined);
      setReason("");
    } catch (failure) {
      setError(failure);
      if (failure instanceof ApiError && failure.status === 412) await refresh(route.name);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <SlotBar parts={of.variants.map((v) => ({ name: nameOf(v), role: v.role }))} weights={weights} locked={!!lacks || busy || refused.value} onChange={edit} />
      {of.variants.length < 2 && <p class="dim small">One version gets everything. A rollout brings another one in.</p>}
      {of.variants.length > 1 && !draft && !lacks && <p class="dim small">Drag a boundary, or focus it and use the arrow keys; Shift makes small steps.</p>}
      <Missing text={lacks} />
      {draft && (
        <form class="draft" onSubmit={(e) => void apply(e)} aria-label="Change of the weights">
          {conflict ? <Conflict draft={draft} now={route} keep={rebase} drop={drop} /> : <Preview draft={draft} />}
          {error !== undefined && !(conflict && error instanceof ApiError && error.status === 412) && <Problem error={error} />}
          {!conflict && (
            <div class="row">
              <Reason value={reason} onInput={setReason} />
              <button type="submit" class="main" disabled={busy || !reason.trim()}>
                {busy ? "Applying…" : "Apply"}
              </button>
              <button type="button" onClick={drop}>
                Discard
              </button>
            </div>
          )}
        </form>
      )}
    </>
  );
}

/** refresh reads a route that someone else has changed, if the stream has not told it yet. */
async function refresh(name: string): Promise<void> {
  const now = await ask(client.GET("/api/v1/routes/{name}", { params: { path: { name } } })).catch(() => undefined);
  if (now && "seed" in now) routes.value = new Map(routes.value).set(name, now);
}

/** Preview asks the gateway what a draft would change. */
function Preview({ draft }: { draft: Draft }) {
  const settled = useSettled(draft, 250);
  const [answer, setAnswer] = useState<{ of: Draft; moved?: number; error?: unknown }>();
  useEffect(() => {
    let gone = false;
    put(settled.of.name, bodyOf(settled.of, settled.weights), settled.of.revision, "", true).then(
      (r) => !gone && setAnswer({ of: settled, moved: r.slots_moved }),
      (error: unknown) => !gone && setAnswer({ of: settled, error }),
    );
    return () => {
      gone = true;
    };
  }, [settled]);
  const current = answer?.of === draft ? answer : undefined;
  if (current?.error !== undefined && !(current.error instanceof ApiError && current.error.status === 412)) return <Problem error={current.error} />;
  return (
    <p aria-live="polite" class="preview">
      <Weights of={draft.of} weights={weightsOf(draft.of)} /> → <Weights of={draft.of} weights={draft.weights} />
      {": "}
      {current?.moved === undefined ? "asking what moves…" : <b>{`${count(current.moved)} of 10,000 slots move`}</b>}
    </p>
  );
}

function Weights({ of, weights }: { of: Route; weights: readonly number[] }) {
  return <span>{of.variants.map((v, i) => `${nameOf(v)} ${points(weights[i] ?? 0)}`).join(", ")}</span>;
}

/** Conflict shows what someone else has made of the route in the meantime. */
function Conflict({ draft, now, keep, drop }: { draft: Draft; now: Route; keep: () => void; drop: () => void }) {
  const [by, setBy] = useState<Schemas["Event"]>();
  useEffect(() => {
    let gone = false;
    void changeOf(now.name).then((e) => !gone && setBy(e));
    return () => {
      gone = true;
    };
  }, [now.revision]);
  const fits = now.variants.length === draft.weights.length;
  return (
    <div class="notice warn" role="alert">
      <p>
        <b>Someone else changed this route.</b>{" "}
        {by && (
          <span>
            {by.actor} at {clock(by.time)}
            {by.reason ? `: “${by.reason}”` : ", without a reason"}.
          </span>
        )}
      </p>
      <p>
        You began with revision {draft.of.revision}: <Weights of={draft.of} weights={weightsOf(draft.of)} />.<br />
        Revision {now.revision} is now: <Weights of={now} weights={weightsOf(now)} />.<br />
        You wanted: <Weights of={draft.of} weights={draft.weights} />.
      </p>
      <div class="buttons">
        <button type="button" onClick={drop}>
          Keep theirs
        </button>
        <button type="button" onClick={keep} disabled={!fits} title={fits ? "" : "the route has other variants now"}>
          Prepare mine again on theirs
        </button>
      </div>
    </div>
  );
}
