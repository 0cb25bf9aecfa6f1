import { ask, client, type Schemas } from "../api/client";
import { can } from "../api/session";
import { Facts, Panel, Problem, State } from "../ui/bits";
import { Chart } from "../ui/chart";
import { clock, count, digits, duration, none, percent, points, real } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { useLoad } from "../ui/use";

type Report = Schemas["LabelReport"];
type Stream = Schemas["LabelStream"];

/** Labels shows how good the predictions of a model were, by its labels, and how good they are expected to be. */
export function Labels({ model }: { model: string }) {
  const may = can("statistics", model);
  const report = useLoad(() => (may ? ask(client.GET("/api/v1/labels/{model}", { params: { path: { model } } })) : Promise.resolve(undefined)), [model, may], 10_000);
  const r = report.data;
  if (report.error !== undefined && !r)
    return (
      <Panel title="Labels">
        <Problem error={report.error} retry={report.again} />
      </Panel>
    );
  if (!r || (r.sample === 0 && !r.streams.length && !r.reason)) return null;
  return (
    <Panel title="Labels" side={<span class="dim">{points(r.sample)} of the requests are kept</span>}>
      {r.reason && <div class="notice warn">{r.reason}</div>}
      <Facts
        of={[
          ["Labels", count(r.labels.rows)],
          ["Joined", count(r.labels.joined)],
          ["Unknown", r.labels.unknown ? count(r.labels.unknown) : undefined],
          ["Late", r.labels.late ? count(r.labels.late) : undefined],
          ["Invalid", r.labels.invalid ? count(r.labels.invalid) : undefined],
          ["Kept predictions", count(r.kept.kept)],
          ["Dropped", r.kept.dropped ? count(r.kept.dropped) : undefined],
          ["Watermark", duration(r.watermark)],
          ["Confidence of all intervals", percent(r.confidence)],
        ]}
      />
      {r.streams
        .filter((s) => !s.segment)
        .map((s) => (
          <LabelledStream key={`${s.version} ${s.role}`} s={s} />
        ))}
      <Losses of={r} />
    </Panel>
  );
}

function interval(low: number | undefined, high: number | undefined): string {
  return low === undefined || high === undefined ? none : `${digits(low)} – ${digits(high)}`;
}

interface Measure {
  name: string;
  m: Stream["metrics"][number] | undefined;
  e: NonNullable<Stream["estimates"]>[number] | undefined;
}

const measures: PlainColumn<Measure>[] = [
  { title: "Metric", cell: (x) => x.name },
  { title: "Measured", number: true, cell: (x) => digits(x.m?.value) },
  { title: "Interval", number: true, cell: (x) => interval(x.m?.low, x.m?.high) },
  { title: "Rows", number: true, cell: (x) => count(x.m?.rows) },
  { title: "Expected", number: true, cell: (x) => digits(x.e?.value) },
  { title: "Interval", number: true, cell: (x) => interval(x.e?.low, x.e?.high) },
  { title: "Method", cell: (x) => x.e?.method },
];

function LabelledStream({ s }: { s: Stream }) {
  const names = [...new Set([...s.metrics.map((m) => m.name), ...(s.estimates ?? []).map((e) => e.name)])];
  const rows = names.map((name) => ({ name, m: s.metrics.find((x) => x.name === name), e: s.estimates?.find((x) => x.name === name) }));
  return (
    <>
      <h3>
        Version {s.version}, {s.role}: {count(s.labels)} of {count(s.predictions)} kept predictions have a label ({percent(s.coverage)})
        {s.delay ? `, half of them within ${duration(s.delay.median)}` : ""}
      </h3>
      {s.no_estimates && <p class="dim small">No expected performance: {s.no_estimates}</p>}
      {rows.length > 0 && <PlainTable label={`Metrics of version ${s.version}, ${s.role}`} columns={measures} rows={rows} keyOf={(x) => x.name} />}
      <ByTime windows={s.windows ?? []} />
    </>
  );
}

/** mostCharts is how many metrics are drawn over time. */
const mostCharts = 4;

/** ByTime draws the metrics of a stream by the time of the predictions, beside what was expected of these. */
function ByTime({ windows }: { windows: NonNullable<Stream["windows"]> }) {
  if (windows.length < 2) return null;
  const named = (of: "metrics" | "estimates") => new Set(windows.flatMap((w) => (w[of] ?? []).map((m) => m.name)));
  const measured = named("metrics");
  const expected = named("estimates");
  // Those of which both are known say most.
  const both = [...measured].filter((name) => expected.has(name));
  const names = [...new Set([...both, ...measured, ...expected])].slice(0, mostCharts);
  const line = (of: "metrics" | "estimates", name: string) => windows.map((w) => w[of]?.find((m) => m.name === name)?.value ?? null);
  return (
    <div class="charts">
      {names.map((name) => (
        <Chart
          key={name}
          title={`${name} by the time of the predictions`}
          time
          x={windows.map((w) => Date.parse(w.start) / 1000)}
          lines={[
            ...(measured.has(name) ? [{ label: "Measured", color: 0, points: true, values: line("metrics", name) }] : []),
            ...(expected.has(name) ? [{ label: "Expected", color: 1, points: true, dash: true, values: line("estimates", name) }] : []),
          ]}
        />
      ))}
    </div>
  );
}

interface Loss {
  l: Report["losses"][number];
  f: Report["losses"][number]["findings"][number] | undefined;
}

const losses: PlainColumn<Loss>[] = [
  { title: "Version", cell: ({ l }) => `v${l.version} ${l.role}` },
  { title: "State", cell: ({ l, f }) => <State of={f?.state ?? l.state} /> },
  { title: "Loss", cell: ({ f }) => f?.loss },
  { title: "Now", number: true, cell: ({ f }) => f && digits(f.value) },
  { title: "Interval", number: true, cell: ({ f }) => f && interval(f.low, f.high) },
  { title: "Reference", number: true, cell: ({ f }) => f && digits(f.reference) },
  { title: "Since", cell: ({ l }) => (real(l.since) ? clock(l.since) : "") },
];

function Losses({ of }: { of: Report }) {
  if (!of.losses.length) return null;
  const rows = of.losses.flatMap((l) => (l.findings.length ? l.findings : [undefined]).map((f) => ({ l, f })));
  return (
    <>
      <h3>Losses</h3>
      <PlainTable label="Losses" columns={losses} rows={rows} keyOf={({ l, f }) => `${l.version} ${l.role} ${f?.loss ?? ""}`} />
    </>
  );
}
