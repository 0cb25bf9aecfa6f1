import { useEffect, useState } from "preact/hooks";
import { seen, stream } from "./api/live";
import { refused, sessionProblem, start } from "./api/session";
import { Boundary } from "./ui/boundary";
import { Empty, titleOf } from "./ui/bits";
import { link, place } from "./ui/router";
import { setTheme, theme, type Theme } from "./ui/theme";
import { ModelPage } from "./pages/model";
import { Overview } from "./pages/overview";
import { DriftList, DriftPage } from "./pages/drift";
import { Journal } from "./pages/journal";
import { RolloutPage } from "./pages/rollout";
import { Rollouts } from "./pages/rollouts";
import { RoutePage } from "./pages/route";
import { SignIn, Who } from "./pages/signin";

const pages: [string, string][] = [
  ["", "Overview"],
  ["drift", "Drift"],
  ["rollouts", "Rollouts"],
  ["journal", "Journal"],
];

/** App is the frame of all pages. */
export function App() {
  useEffect(() => void start(), []);
  const here = place.value;
  const page = here.parts[0] ?? "";
  useEffect(() => {
    document.title = [here.parts[1], page || "Overview", "Sluice"].filter(Boolean).join(" · ");
  }, [page, here.parts[1]]);
  const out = refused.value;
  const kept = out && seen.value && page !== "signin"; // a token that ends takes nothing from the page below
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the page
      </a>
      <nav aria-label="Pages">
        <a class="brand" href={link("")}>
          Sluice
        </a>
        {pages.map(([key, title]) => (
          <a key={key} href={link(key)} aria-current={page === key || (key === "" && (page === "models" || page === "routes")) ? "page" : undefined}>
            {title}
          </a>
        ))}
        <span class="grow" />
        <Live />
        <Who />
        <ThemeSwitch />
      </nav>
      <ConnectionNotice />
      <main id="main" tabIndex={-1}>
        {out && <SignIn why={sessionProblem.value?.message || stream.connection.value.why} kept={kept} />}
        {(!out || kept) && (
          <div inert={out} class={out ? "stale" : ""}>
            <Boundary key={here.parts.slice(0, 2).join("/")}>
              <Page parts={here.parts} />
            </Boundary>
          </div>
        )}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Page({ parts }: { parts: string[] }) {
  const [kind, name] = parts;
  if (!kind) return <Overview />;
  if (kind === "routes" && name) return <RoutePage key={name} name={name} />;
  if (kind === "models" && name) return <ModelPage key={name} name={name} version={Number(parts[2]) || 0} />;
  if (kind === "drift") return name ? <DriftPage key={name} model={name} /> : <DriftList />;
  if (kind === "rollouts") return name ? <RolloutPage key={name} name={name} /> : <Rollouts />;
  if (kind === "journal") return <Journal />;
  if (kind === "signin") return <SignIn why="" />;
  return <Empty>There is no such page.</Empty>;
}

/** Live says whether what the page shows is what is. */
function Live() {
  const c = stream.connection.value;
  const now = useNow(c.state === "lost" || c.state === "live" ? 1000 : 0);
  const silent = c.heard ? Math.max(0, Math.round((now - c.heard) / 1000)) : 0;
  const words = {
    live: "live",
    connecting: "connecting",
    lost: c.heard ? `stale for ${silent} s` : "no connection",
    refused: "refused",
    paused: "paused",
  };
  const tones = { live: "good", connecting: "warn", lost: "bad", refused: "bad", paused: "quiet" };
  return (
    <span class={`state ${tones[c.state]}`} id="live" data-state={c.state} role="status">
      {words[c.state]}
    </span>
  );
}

/** ConnectionNotice says why there are no new data, and when the console tries again. */
function ConnectionNotice() {
  const c = stream.connection.value;
  const now = useNow(c.state === "lost" ? 500 : 0);
  if (c.state === "lost") {
    const wait = Math.max(0, Math.ceil((c.retryAt - now) / 1000));
    return (
      <div class="notice bad" role="alert">
        <b>{c.status === 503 ? titleOf(503) : "The connection is lost."}</b> {c.why}. What you see is stale. Next try in {wait} s.{" "}
        <button type="button" onClick={() => stream.restart()}>
          Try now
        </button>
      </div>
    );
  }
  if (c.state === "refused" && c.status !== 401)
    return (
      <div class="notice bad" role="alert">
        <b>{titleOf(c.status)}</b> {c.why}{" "}
        <button type="button" onClick={() => stream.restart()}>
          Try again
        </button>
      </div>
    );
  return null;
}

/** useNow returns the time, and renders again every so many ms. */
function useNow(every: number): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select value={theme.value} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
        <option value="auto">Auto</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

