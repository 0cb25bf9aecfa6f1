import { ask, change, client, type Schemas } from "../api/client";
import { signals } from "../api/live";
import { canSome, missing } from "../api/session";
import { Act } from "../ui/act";
import { Empty, Panel, Problem, State } from "../ui/bits";
import { clock, digits, percent, real } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link } from "../ui/router";
import { useLoad } from "../ui/use";

type Retraining = Schemas["Retraining"];

const final = new Set(["finished", "failed", "expired", "rejected"]);
const tones: Record<string, string> = { requested: "warn", accepted: "busy", running: "busy", registered: "busy", judged: "busy", finished: "good", failed: "bad", expired: "bad", rejected: "quiet" };
const verdicts: Record<string, string> = { better: "good", not_worse: "good", worse: "bad", unknown: "warn" };

/** web returns an address that a trainer has given, if it is one of the web. */
function web(address: string | undefined): string | undefined {
  return address && /^https?:\/\//i.test(address) ? address : undefined;
}

const columns = (again: () => void): PlainColumn<Retraining>[] => [
  { title: "Requested", cell: (r) => clock(r.requested_at) },
  {
    title: "Model",
    cell: (r) => (
      <>
        <a href={link("models", r.model)}>{r.model}</a> v{r.parent}
      </>
    ),
  },
  { title: "Cause", cell: (r) => r.cause },
  { title: "State", cell: (r) => <State of={r.state} tone={tones[r.state]} /> },
  { title: "Trainer", wrap: true, cell: (r) => <Trainer of={r} /> },
  { title: "Version", cell: (r) => (r.candidate ? <a href={link("models", r.model, r.candidate)}>v{r.candidate}</a> : "") },
  { title: "Compared with its parent", wrap: true, cell: (r) => <Verdict of={r} /> },
  { title: "Why", wrap: true, cell: (r) => r.why },
  { number: true, cell: (r) => <Cancel of={r} again={again} /> },
];

/** Retrainings lists what became of requests for retraining, of one model or of all, and makes new ones. */
export function Retrainings({ model }: { model: string }) {
  const may = canSome("statistics");
  const states = [...signals.value.values()].filter((s) => !model || s.model === model).map((s) => `${s.id} ${s.state}`);
  const query = model ? { model } : {};
  const list = useLoad(() => (may ? ask(client.GET("/api/v1/retrainings", { params: { query } })) : Promise.resolve([])), [model, may, states.join()], 10_000);
  const request = async (reason: string) => {
    await ask(client.POST("/api/v1/models/{name}/retrain", { params: { path: { name: model }, header: change(reason) }, body: { reason } }));
    list.again();
  };
  const says = <p>The trainer of the model gets a request, as after an alarm. What follows is in the configuration (retrain.rollout).</p>;
  return (
    <Panel title="Retraining" side={model && <Act label="Request a retraining" missing={missing("signal", model)} says={says} run={request} />}>
      {list.error !== undefined && <Problem error={list.error} retry={list.again} />}
      {list.data && list.data.length === 0 && <Empty>No retraining has been requested.</Empty>}
      {list.data && list.data.length > 0 && <PlainTable label="Retrainings" columns={columns(list.again)} rows={list.data} keyOf={(r) => r.id} />}
    </Panel>
  );
}

function Trainer({ of: r }: { of: Retraining }) {
  const log = web(r.log);
  const said = [r.progress != null ? percent(r.progress) : "", r.message ?? ""].filter(Boolean).join(", ");
  return (
    <>
      {r.trainer && r.trainer !== "none" ? r.trainer : "none: a person or a program reads the list"}
      {said && `: ${said}`}
      {log && (
        <>
          {" "}
          <a href={log} rel="noreferrer">
            log
          </a>
        </>
      )}
      {!final.has(r.state) && real(r.deadline) && <div class="dim">until {clock(r.deadline)}</div>}
    </>
  );
}

function Verdict({ of: r }: { of: Retraining }) {
  const j = r.judgement;
  return (
    <>
      {j && <State of={j.verdict} tone={verdicts[j.verdict]} />}
      {j && j.labelled > 0 && (
        <span>
          {" "}
          {j.loss} {digits(j.parent)} → {digits(j.candidate)}, difference {digits(j.difference)} ({digits(j.low)} to {digits(j.high)})
        </span>
      )}
      {j && <div class="dim">{j.why}</div>}
      {r.rollout && (
        <a href={link("rollouts", r.rollout.replace(/-\d+$/, ""))}>
          <State of={`rollout ${r.rollout}`} tone="busy" />
        </a>
      )}
    </>
  );
}

function Cancel({ of: r, again }: { of: Retraining; again: () => void }) {
  if (final.has(r.state)) return null;
  const run = async (reason: string) => {
    await ask(client.POST("/api/v1/signals/{id}/cancel", { params: { path: { id: r.id }, header: change(reason) } }));
    again();
  };
  return <Act label="Cancel" title="Cancel the retraining" missing={missing("signal", r.model)} says={<p>A version that is pushed for it later is refused.</p>} run={run} />;
}
