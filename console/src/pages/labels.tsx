import { ask, client, type Schemas } from "../api/client";
import { can } from "../api/session";
import { Facts, Panel, Problem, State } from "../ui/bits";
import { clock, count, digits, duration, none, percent, points, real } from "../ui/format";
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

function LabelledStream({ s }: { s: Stream }) {
  return (
    <>
      <h3>
        Version {s.version}, {s.role}: {count(s.labels)} of {count(s.predictions)} kept predictions have a label ({percent(s.coverage)})
        {s.delay ? `, half of them within ${duration(s.delay.median)}` : ""}
      </h3>
      {s.no_estimates && <p class="dim small">{s.no_estimates}</p>}
      <div class="scroll-x" tabIndex={0} role="region" aria-label={`Metrics of version ${s.version}, ${s.role}`}>
        <table class="plain">
          <thead>
            <tr>
              <th>Metric</th>
              <th class="n">Measured</th>
              <th class="n">Interval</th>
              <th class="n">Rows</th>
              <th class="n">Expected</th>
              <th class="n">Interval</th>
              <th>Method</th>
            </tr>
          </thead>
          <tbody>
            {[...new Set([...s.metrics.map((m) => m.name), ...(s.estimates ?? []).map((e) => e.name)])].map((name) => {
              const m = s.metrics.find((x) => x.name === name);
              const e = s.estimates?.find((x) => x.name === name);
              return (
                <tr key={name}>
                  <td>{name}</td>
                  <td class="n">{digits(m?.value)}</td>
                  <td class="n">{interval(m?.low, m?.high)}</td>
                  <td class="n">{count(m?.rows)}</td>
                  <td class="n">{digits(e?.value)}</td>
                  <td class="n">{interval(e?.low, e?.high)}</td>
                  <td>{e?.method}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Losses({ of }: { of: Report }) {
  if (!of.losses.length) return null;
  return (
    <>
      <h3>Losses</h3>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Losses">
        <table class="plain">
          <tbody>
            {of.losses.flatMap((l) =>
              (l.findings.length ? l.findings : [undefined]).map((f) => (
                <tr key={`${l.version} ${l.role} ${f?.loss ?? ""}`}>
                  <td>
                    v{l.version} {l.role}
                  </td>
                  <td>
                    <State of={f?.state ?? l.state} />
                  </td>
                  <td>{f?.loss ?? ""}</td>
                  <td class="n">{f ? `${digits(f.value)}, reference ${digits(f.reference)}` : ""}</td>
                  <td class="n">{f ? interval(f.low, f.high) : ""}</td>
                  <td>{real(l.since) ? `since ${clock(l.since)}` : ""}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
    </>
  );
}
