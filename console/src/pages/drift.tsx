import { useState } from "preact/hooks";
import { ask, client, type Schemas } from "../api/client";
import { drift, seen, type DriftStatus } from "../api/live";
import { canSome, missing } from "../api/session";
import { Empty, Facts, Panel, Problem, State } from "../ui/bits";
import { clock, count, digits, none, percent, real } from "../ui/format";
import { Interval } from "../ui/interval";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link } from "../ui/router";
import { useLoad } from "../ui/use";
import { Overlay } from "./distribution";
import { Evidence, keyOf, streamOf } from "./evidence";
import { Labels } from "./labels";
import { Retrainings } from "./retrain";
import { Signals } from "./signals";

type Finding = Schemas["DriftFinding"];

const order = ["DETECTED", "SUSPECTED", "RECOVERING", "OFF", "UNJUDGED", "OK"];

const streams: PlainColumn<DriftStatus>[] = [
  {
    title: "Model",
    cell: (d) => (
      <>
        <a href={link("drift", d.model)}>{d.model}</a> v{d.version}
      </>
    ),
  },
  { title: "Role", cell: (d) => d.role },
  { title: "Segment", cell: (d) => d.segment || <span class="dim">all rows</span> },
  { title: "State", cell: (d) => <State of={d.state} /> },
  { title: "Since", cell: (d) => clock(d.since) },
  { title: "Windows", number: true, cell: (d) => count(d.windows) },
  { title: "Rows", number: true, cell: (d) => count(d.rows) },
  { title: "Strongest evidence", wrap: true, cell: (d) => d.reason || first(d) },
];

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
          <PlainTable label="Streams" columns={streams} rows={list} keyOf={streamOf} />
        )}
      </Panel>
      <Panel title="Signals">
        <Signals model="" />
      </Panel>
      <Retrainings model="" />
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
        <Stream key={streamOf(d)} d={d} />
      ))}
      <Labels model={model} />
      <Panel title="Signals">
        <Signals model={model} />
      </Panel>
      <Retrainings model={model} />
    </>
  );
}

function Stream({ d }: { d: DriftStatus }) {
  const [chosen, choose] = useState("");
  const features = d.last?.features ?? [];
  const quality = d.last?.quality ?? [];
  const key = chosen || (features[0] ? keyOf(features[0]) : "");
  return (
    <Panel title={`Version ${d.version}, ${d.role}${d.segment ? `, segment ${d.segment}` : ""}`} side={<State of={d.state} />}>
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
          ["Calibration", d.calibration && <Calibration of={d.calibration} />],
        ]}
      />
      {d.last?.reason && <p class="dim">{d.last.reason}</p>}
      {features.length > 0 && <Findings title="Distributions, the strongest evidence first" effect="Effect (PSI)" list={features} chosen={key} choose={choose} />}
      {d.last && (quality.length > 0 ? <Findings title="Quality" effect="Share beyond" list={quality} chosen={key} choose={choose} /> : <p class="dim small">No missing, infinite or out-of-range values beyond those of the reference.</p>)}
      {!d.last && !d.reason && <Empty>No window has been judged yet.</Empty>}
      {key && <Shape d={d} feature={key} />}
      {key && <Evidence d={d} feature={key} />}
    </Panel>
  );
}

const calibrations: Record<string, string> = { learning: "busy", calibrated: "good", differs: "warn" };

/** Calibration says what a stream has learned of clean windows. */
function Calibration({ of }: { of: NonNullable<DriftStatus["calibration"]> }) {
  return (
    <>
      <State of={of.state} tone={calibrations[of.state]} /> {of.text}
      {real(of.until) && of.state === "learning" && `, not before ${clock(of.until)}`}
    </>
  );
}

/** effectText writes an effect in the unit of its statistic, as the CLI does. */
function effectText(f: Finding, x: number) {
  switch (f.statistic) {
    case "g":
    case "correlation":
      return digits(x);
    case "joint":
    case "mmd":
      return `${digits(x)} s.d.`;
    default:
      return percent(x);
  }
}

/** Findings lists findings, and lets a person choose the one that is drawn. */
function Findings({ title, effect, list, chosen, choose }: { title: string; effect: string; list: readonly Finding[]; chosen: string; choose: (key: string) => void }) {
  const most = Math.max(...list.map((f) => (Number.isFinite(f.high) ? f.high : 0)), 1e-6);
  const columns: PlainColumn<Finding>[] = [
    {
      title: "Feature",
      cell: (f) => (
        <>
          <button type="button" class="plain-button" aria-pressed={keyOf(f) === chosen} onClick={() => choose(keyOf(f))}>
            {f.feature}
          </button>{" "}
          <span class="dim">{f.statistic === "g" ? f.kind : f.statistic}</span>
        </>
      ),
    },
    {
      title: "State",
      cell: (f) => (
        <>
          <State of={f.state} />
          {f.unpromised && <span class="dim"> before the calibration</span>}
        </>
      ),
    },
    { title: "Since", cell: (f) => clock(f.began) },
    { title: "Change", wrap: true, cell: (f) => f.change },
    { title: effect, number: true, cell: (f) => effectText(f, f.effect) },
    { title: "95 % interval", number: true, cell: (f) => `${effectText(f, f.low)} – ${effectText(f, f.high)}` },
    { title: "Interval", cell: (f) => <Interval low={f.low / most} at={f.effect / most} high={f.high / most} /> },
    { title: "p", number: true, cell: (f) => digits(f.p) },
    { title: "Alarm below", number: true, cell: (f) => (f.limit ? digits(f.limit) : none) },
  ];
  return (
    <>
      <h3>{title}</h3>
      <PlainTable label={title} box="findings" columns={columns} rows={list} keyOf={keyOf} chosen={(f) => keyOf(f) === chosen} />
    </>
  );
}

/** Shape draws the distribution of the chosen feature in the reference and in the last window. */
function Shape({ d, feature }: { d: DriftStatus; feature: string }) {
  const report = useLoad(() => ask(client.GET("/api/v1/drift/{model}/report", { params: { path: { model: d.model } } })), [d.model, d.windows]);
  if (report.error !== undefined && !report.data) return <Problem error={report.error} retry={report.again} />;
  const stream = report.data?.find((r) => streamOf(r) === streamOf(d));
  const shape = stream?.distributions.find((x) => feature.startsWith(`${x.kind} ${x.feature} `));
  return shape ? <Overlay of={shape} /> : null;
}
