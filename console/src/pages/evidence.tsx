import { useMemo } from "preact/hooks";
import type { Schemas } from "../api/client";
import { newest } from "../api/journal";
import type { DriftStatus } from "../api/live";
import { canAll } from "../api/session";
import { Problem } from "../ui/bits";
import { Chart } from "../ui/chart";
import { useLoad } from "../ui/use";

type Finding = Schemas["DriftFinding"];
type Verdict = Schemas["DriftVerdict"];

/** keyOf names a finding within its stream. */
export const keyOf = (f: Finding): string => `${f.kind} ${f.feature} ${f.statistic}`;

/** streamOf names a stream: of all rows of a version in a role, or of those of a segment. */
export const streamOf = (d: { model: string; version: number; role: string; segment?: string }): string =>
  `${d.model} ${d.version} ${d.role}${d.segment ? ` ${d.segment}` : ""}`;

/** What a window has said of a finding. */
interface Look {
  at: number;
  f: Finding;
}

/** The windows that have ended while someone looked at a stream, by stream: the journal has only those that changed a state. */
const witnessed = new Map<string, Map<number, readonly Finding[]>>();
const mostWitnessed = 200;

function witness(d: DriftStatus): void {
  if (!d.last) return;
  const key = streamOf(d);
  const windows = witnessed.get(key) ?? new Map<number, readonly Finding[]>();
  witnessed.set(key, windows);
  windows.set(endOf(d.last), [...d.last.features, ...d.last.quality]);
  if (windows.size > mostWitnessed) windows.delete(windows.keys().next().value!);
}

const endOf = (v: Verdict) => Date.parse(v.window.end) / 1000;

/** looksOf joins the windows of the journal with those that were witnessed, in the order of time. */
function looksOf(d: DriftStatus, feature: string, past: readonly Schemas["Event"][]): Look[] {
  const windows = new Map<number, readonly Finding[]>();
  for (const e of past) {
    const a = e.after as { model: string; version: number; role: string; segment?: string; verdict?: Verdict } | undefined;
    if (a?.verdict && streamOf(a) === streamOf(d)) windows.set(endOf(a.verdict), [...a.verdict.features, ...a.verdict.quality]);
  }
  for (const [at, findings] of witnessed.get(streamOf(d)) ?? []) windows.set(at, findings);
  const looks: Look[] = [];
  for (const at of [...windows.keys()].sort((a, b) => a - b)) {
    const f = windows.get(at)!.find((x) => keyOf(x) === feature);
    if (f) looks.push({ at, f });
  }
  return looks;
}

/** The exponent of a p that is 0, for the chart. The gateway gives at least 1e-300. */
const exponent = (p: number) => Math.min(-Math.log10(Math.max(p, 1e-300)), 300);

/** Evidence draws a finding over the windows that are known: its effect with the interval, and how strong the evidence was. */
export function Evidence({ d, feature }: { d: DriftStatus; feature: string }) {
  const may = canAll("admin");
  const past = useLoad(async () => (may ? (await newest({ type: "drift.state" }, 2000)).events : []), [streamOf(d), d.state, may]);
  const looks = useMemo(() => {
    witness(d);
    return looksOf(d, feature, past.data ?? []);
  }, [past.data, d, feature]);
  if (past.error !== undefined && !past.data) return <Problem error={past.error} retry={past.again} />;
  const sources = may ? "the windows that changed a state, from the journal, and those that ended while this page was open" : "the windows that ended while this page was open; the journal has more, which needs the action ‘admin’ on all models";
  if (looks.length < 2) return <p class="dim small">The evidence over time appears with a second window: {sources}.</p>;
  const name = feature.split(" ").slice(1, -1).join(" ");
  const x = looks.map((l) => l.at);
  const values = (of: (f: Finding) => number) => looks.map((l) => of(l.f));
  return (
    <>
      <div class="charts">
        <Chart
          title={`${name}: effect by window, with its interval`}
          time
          x={x}
          lines={[
            { label: "effect", color: 0, values: values((f) => f.effect), points: true },
            { label: "low", color: 2, dash: true, values: values((f) => f.low) },
            { label: "high", color: 2, dash: true, values: values((f) => f.high) },
          ]}
        />
        <Chart
          title={`${name}: evidence by window, as −log10 of p; an alarm above the limit`}
          time
          x={x}
          lines={[
            { label: "evidence", color: 0, values: values((f) => exponent(f.p)), points: true },
            { label: "limit", color: 5, dash: true, values: looks.map((l) => (l.f.limit ? exponent(l.f.limit) : null)) },
          ]}
        />
      </div>
      <p class="dim small">These are {sources}.</p>
    </>
  );
}
