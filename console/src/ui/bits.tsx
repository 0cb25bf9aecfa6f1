import type { ComponentChildren } from "preact";
import { ApiError } from "../api/client";

const good = new Set(["READY", "OK", "closed", "pass", "COMPLETED", "delivered", "live"]);
const warn = new Set(["LOADING", "UNLOADING", "SUSPECTED", "RECOVERING", "half-open", "inconclusive", "PAUSED", "AWAITING_APPROVAL", "connecting", "LEARNING", "UNKNOWN"]);
const bad = new Set(["UNAVAILABLE", "DETECTED", "open", "regress", "ABORTING", "ROLLED_BACK", "lost", "refused"]);
const busy = new Set(["CANARY", "SHADOWING", "BAKING", "VALIDATING"]);

/** toneOf returns the meaning of a state: good, warn, bad, busy or quiet. */
export function toneOf(state: string): string {
  if (good.has(state)) return "good";
  if (warn.has(state)) return "warn";
  if (bad.has(state)) return "bad";
  return busy.has(state) ? "busy" : "quiet";
}

/** State shows a state as a word with a colour. */
export function State({ of, tone, title }: { of: string; tone?: string; title?: string }) {
  return (
    <span class={`state ${tone ?? toneOf(of)}`} title={title}>
      {of.toLowerCase().replaceAll("_", " ")}
    </span>
  );
}

/** Problem shows an error and what can be done about it. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const status = error instanceof ApiError ? error.status : -1;
  return (
    <div class="notice bad" role="alert">
      <b>{titleOf(status)}</b> <span>{error instanceof Error ? error.message : String(error)}</span>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** titleOf says what a status means here. */
export function titleOf(status: number): string {
  switch (status) {
    case 0:
      return "No connection.";
    case 401:
      return "Sign in.";
    case 403:
      return "Not allowed.";
    case 404:
      return "Not found.";
    case 412:
      return "Changed by someone else.";
    case 428:
      return "The revision is missing.";
    case 429:
    case 503:
      return "The gateway is busy.";
    case -1:
      return "The console has an error.";
    default:
      return status >= 500 ? "The gateway has an error." : "Refused.";
  }
}

/** Panel is a part of a page with a heading. */
export function Panel({ title, side, children, id }: { title: string; side?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="panel" id={id} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {side && <div class="side">{side}</div>}
      </header>
      {children}
    </section>
  );
}

/** Empty says that there is nothing to show, and why. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** Facts is a list of names and values. Values that are undefined are left out. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of
        .filter(([, value]) => value !== undefined && value !== "" && value !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
