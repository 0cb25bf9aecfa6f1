import { ask, change, client } from "../api/client";
import { signals, type SignalDoc } from "../api/live";
import { missing } from "../api/session";
import { Act } from "../ui/act";
import { Empty, State } from "../ui/bits";
import { clock, count, digits, real } from "../ui/format";
import { link } from "../ui/router";

/** Signals lists requests for retraining and reports of bad data, of one model or of all. */
export function Signals({ model }: { model: string }) {
  const list = [...signals.value.values()].filter((s) => !model || s.model === model).sort((a, b) => b.created_at.localeCompare(a.created_at));
  if (!list.length) return <Empty>There are no signals.</Empty>;
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Signals">
      <table class="plain">
        <thead>
          <tr>
            <th>Created</th>
            <th>Asks for</th>
            <th>Model</th>
            <th>State</th>
            <th>Strongest evidence</th>
            <th>Delivery</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {list.map((s) => (
            <SignalRow key={s.id} s={s} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SignalRow({ s }: { s: SignalDoc }) {
  const lacks = missing("signal", s.model);
  const run = (verb: "close" | "retry") => async (reason: string) => {
    const options = { params: { path: { id: s.id }, header: change(reason) } };
    const now = await ask(verb === "close" ? client.POST("/api/v1/signals/{id}/close", options) : client.POST("/api/v1/signals/{id}/retry", options));
    if (now && "id" in now) signals.value = new Map(signals.value).set(now.id, now);
  };
  const first = s.features[0];
  return (
    <tr>
      <td>{clock(s.created_at)}</td>
      <td>{s.type.includes("retrain") ? `retraining: ${s.cause}` : `better data: ${s.cause}`}</td>
      <td>
        <a href={link("drift", s.model)}>{s.model}</a> v{s.version}
      </td>
      <td>
        <State of={s.state} tone={s.state === "open" ? "warn" : undefined} />
      </td>
      <td class="wrap">
        {first ? `${first.feature}: effect ${digits(first.effect)}${s.features_total > 1 ? `, and ${count(s.features_total - 1)} more` : ""}` : ""}
        {s.suppressed ? `; holds back ${count(s.suppressed)}` : ""}
      </td>
      <td class="wrap">
        {s.delivered_at && real(s.delivered_at) ? `delivered ${clock(s.delivered_at)}` : `${count(s.attempts)} attempts`}
        {s.last_error ? `: ${s.last_error}` : ""}
        {s.closed_by ? `; closed by ${s.closed_by}${s.reason ? `: “${s.reason}”` : ""}` : ""}
      </td>
      <td class="n">
        {s.state !== "closed" && <Act label="Close" missing={lacks} run={run("close")} says={<p>The gateway does not send the signal any more. Another one can follow after the cool-down.</p>} />}{" "}
        {s.state === "open" && <Act label="Retry" missing={lacks} initial="try again now" run={run("retry")} />}
      </td>
    </tr>
  );
}
