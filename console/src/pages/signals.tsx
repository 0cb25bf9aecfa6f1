import { ask, change, client } from "../api/client";
import { signals, type SignalDoc } from "../api/live";
import { missing } from "../api/session";
import { Act } from "../ui/act";
import { Empty, State } from "../ui/bits";
import { clock, count, digits, real } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link } from "../ui/router";

const columns: PlainColumn<SignalDoc>[] = [
  { title: "Created", cell: (s) => clock(s.created_at) },
  { title: "Asks for", cell: (s) => (s.type.includes("retrain") ? `retraining: ${s.cause}` : `better data: ${s.cause}`) },
  {
    title: "Model",
    cell: (s) => (
      <>
        <a href={link("drift", s.model)}>{s.model}</a> v{s.version}
      </>
    ),
  },
  { title: "State", cell: (s) => <State of={s.state} tone={s.state === "open" ? "warn" : undefined} /> },
  { title: "Strongest evidence", wrap: true, cell: (s) => evidenceOf(s) },
  { title: "Delivery", wrap: true, cell: (s) => deliveryOf(s) },
  { number: true, cell: (s) => <Verbs s={s} /> },
];

/** Signals lists requests for retraining and reports of bad data, of one model or of all. */
export function Signals({ model }: { model: string }) {
  const list = [...signals.value.values()].filter((s) => !model || s.model === model).sort((a, b) => b.created_at.localeCompare(a.created_at));
  if (!list.length) return <Empty>There are no signals.</Empty>;
  return <PlainTable label="Signals" columns={columns} rows={list} keyOf={(s) => s.id} />;
}

function evidenceOf(s: SignalDoc): string {
  const first = s.features[0];
  const rest = s.features_total > 1 ? `, and ${count(s.features_total - 1)} more` : "";
  const later = (s.also ?? []).map((a) => `; later ${a.cause}${a.version === s.version ? "" : ` of v${a.version}`}${a.segment ? ` in segment ${a.segment}` : ""}: ${a.features.join(", ")}`).join("");
  const where = s.segment ? `segment ${s.segment}, ` : "";
  return `${first ? `${where}${first.feature}: effect ${digits(first.effect)}${rest}` : ""}${later}${s.suppressed ? `; holds back ${count(s.suppressed)}` : ""}`;
}

function deliveryOf(s: SignalDoc): string {
  const told = s.delivered_at && real(s.delivered_at) ? `delivered ${clock(s.delivered_at)}` : `${count(s.attempts)} attempts`;
  const closed = s.closed_by ? `; closed by ${s.closed_by}${s.reason ? `: “${s.reason}”` : ""}` : "";
  return `${told}${s.last_error ? `: ${s.last_error}` : ""}${closed}`;
}

/** Verbs are what can be done about a signal. */
function Verbs({ s }: { s: SignalDoc }) {
  const lacks = missing("signal", s.model);
  const run = (verb: "close" | "retry") => async (reason: string) => {
    const options = { params: { path: { id: s.id }, header: change(reason) } };
    const now = await ask(verb === "close" ? client.POST("/api/v1/signals/{id}/close", options) : client.POST("/api/v1/signals/{id}/retry", options));
    if (now && "id" in now) signals.value = new Map(signals.value).set(now.id, now);
  };
  return (
    <>
      {s.state !== "closed" && <Act label="Close" missing={lacks} run={run("close")} says={<p>The gateway does not send the signal any more. Another one can follow after the cool-down.</p>} />}{" "}
      {s.state === "open" && <Act label="Retry" missing={lacks} initial="try again now" run={run("retry")} />}
    </>
  );
}
