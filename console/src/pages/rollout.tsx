import { useMemo } from "preact/hooks";
import { ask, change, client, type Schemas } from "../api/client";
import { newest } from "../api/journal";
import { lastLook, rollouts, routes, seen, type Rollout } from "../api/live";
import { canAll, missing } from "../api/session";
import { Act, Missing } from "../ui/act";
import { Empty, Facts, Panel, Problem, State } from "../ui/bits";
import { Chart, type Line } from "../ui/chart";
import { clock, count, digits, duration, none, percent, points, short } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link, linkWith } from "../ui/router";
import { useLoad } from "../ui/use";
import { Plan } from "./plan";
import { final } from "./rollouts";

type Evidence = Schemas["RolloutEvidence"];
type Verb = "approve" | "pause" | "resume" | "promote" | "abort" | "unfreeze";

/** RolloutPage shows the last rollout of a route: its steps, its evidence, and what can be done. */
export function RolloutPage({ name }: { name: string }) {
  const r = rollouts.value.get(name);
  if (!seen.value) return <Empty>Waiting for the gateway.</Empty>;
  return (
    <>
      <h1>
        <span class="dim">Rollout of</span> <a href={link("routes", name)}>{name}</a>
      </h1>
      {r && <Present r={r} />}
      {!r && !routes.value.has(name) && <Empty>There is no route ‘{name}’ that you may see.</Empty>}
      {(!r || final(r)) && routes.value.has(name) && <Plan route={name} />}
      {r && <Past name={name} now={r} />}
    </>
  );
}

function Present({ r }: { r: Rollout }) {
  return (
    <>
      <Panel
        title={r.id}
        side={
          <>
            <State of={r.state} />
            {!r.durable && <State of="not in the journal yet" tone="warn" />}
            {r.frozen && <State of="frozen" tone="bad" />}
          </>
        }
      >
        <p>{r.why}</p>
        <Facts
          of={[
            ["Version", <a href={link("models", r.model, r.spec.version)}>v{r.spec.version}</a>],
            ["Preset", r.spec.preset],
            ["Weight now", points(r.weight)],
            ["Answered in this step", count(r.answered)],
            ["In this state since", clock(r.since_at)],
            ["Started", `${clock(r.started_at)} by ${r.started_by.actor}${r.started_by.reason ? `: “${r.started_by.reason}”` : ""}`],
            ["Approvals", r.approvals_needed > 0 ? `${r.approvals.length} of ${r.approvals_needed}${r.approvals.length ? `: ${r.approvals.map((a) => a.actor).join(", ")}` : ""}` : undefined],
            ["Latency objective", r.objective ? duration(r.objective) : undefined],
            ["Files", <span class="mono">{short(r.digest)}</span>],
            ["Journal", <a href={linkWith("journal", { subject: `rollouts/${r.spec.route}` })}>events</a>],
          ]}
        />
        <Steps r={r} />
        <Actions r={r} />
      </Panel>
      <Panel title="Evidence">
        <EvidenceTable list={r.evidence} />
        <EvidenceCharts r={r} />
      </Panel>
    </>
  );
}

/** Steps shows what a rollout has behind it, and what comes. */
function Steps({ r }: { r: Rollout }) {
  const state = r.state === "PAUSED" ? r.paused : r.state;
  const steps = r.spec.steps ?? [];
  const order: { key: string; label: string }[] = [{ key: "VALIDATING", label: "validate" }];
  if (r.approvals_needed > 0) order.push({ key: "AWAITING_APPROVAL", label: "approval" });
  if (r.spec.shadow?.sample) order.push({ key: "SHADOWING", label: `shadow ${points(r.spec.shadow.sample)}` });
  steps.forEach((s, i) => order.push({ key: `CANARY ${i}`, label: `${points(s.weight)} for ${duration(s.for)}` }));
  order.push({ key: "BAKING", label: `bake ${duration(r.spec.bake)}` }, { key: "COMPLETED", label: "completed" });
  const at = order.findIndex((o) => o.key === (state === "CANARY" ? `CANARY ${r.step}` : state));
  return (
    <ol class="steps" aria-label="Steps">
      {order.map((o, i) => (
        <li key={o.key} class={at < 0 ? "" : i < at || r.state === "COMPLETED" ? "done" : i === at ? "now" : ""} aria-current={i === at ? "step" : undefined}>
          {o.label}
        </li>
      ))}
      {at < 0 && (
        <li class="now bad" aria-current="step">
          {r.state.toLowerCase().replaceAll("_", " ")}
        </li>
      )}
    </ol>
  );
}

const says: Record<Verb, string> = {
  approve: "The rollout starts once it has all approvals that it needs.",
  pause: "The version keeps its weight until the rollout is resumed.",
  resume: "The rollout goes on where it was paused.",
  promote: "The version becomes stable now, without the remaining steps.",
  abort: "The version gets no requests any more, and the route becomes what it was before.",
  unfreeze: "Rollouts of this route may start again.",
};

function Actions({ r }: { r: Rollout }) {
  const name = r.spec.route;
  const lacks = missing("rollout", name);
  const lacksApproval = missing("approve", name);
  const over = final(r);
  const verbs: Verb[] = [];
  if (r.state === "AWAITING_APPROVAL") verbs.push("approve");
  if (!over && r.state !== "ABORTING") verbs.push(r.state === "PAUSED" ? "resume" : "pause");
  if (["CANARY", "PAUSED", "SHADOWING"].includes(r.state)) verbs.push("promote");
  if (!over && r.state !== "ABORTING") verbs.push("abort");
  if (r.frozen) verbs.push("unfreeze");
  const run = (verb: Verb) => async (reason: string) => {
    const options = { params: { path: { name }, header: change(reason) } };
    const now = await ask(client.POST(`/api/v1/rollouts/{name}/${verb}` as "/api/v1/rollouts/{name}/abort", options));
    rollouts.value = new Map(rollouts.value).set(name, now);
  };
  if (!verbs.length) return null;
  return (
    <div class="buttons">
      {verbs.map((v) => (
        <Act
          key={v}
          label={v[0]!.toUpperCase() + v.slice(1)}
          tone={v === "abort" ? "bad" : v === "approve" ? "main" : undefined}
          missing={v === "approve" ? lacksApproval : lacks}
          says={<p>{says[v]}</p>}
          run={run(v)}
        />
      ))}
      <Missing text={[...new Set(verbs.map((v) => (v === "approve" ? lacksApproval : lacks)))].filter(Boolean).join("; ")} />
    </div>
  );
}

const rateOf = (r: Schemas["RolloutRate"]) => (r.requests ? r.bad / r.requests : null);

const rate = (r: Schemas["RolloutRate"]) => <span title={`${count(r.bad)} of ${count(r.requests)}`}>{percent(rateOf(r))}</span>;

const evidenceColumns: PlainColumn<Evidence>[] = [
  { title: "Guardrail", cell: (e) => e.guardrail },
  { title: "Verdict", cell: (e) => <State of={e.verdict} /> },
  { title: "Canary", number: true, cell: (e) => rate(e.canary) },
  { title: "Control", number: true, cell: (e) => rate(e.control) },
  { title: "Evidence", number: true, cell: (e) => (e.threshold ? digits(e.e_value) : none) },
  { title: "Threshold", number: true, cell: (e) => (e.threshold ? digits(e.threshold) : none) },
  { title: "Worse by at most", number: true, cell: (e) => (e.threshold ? percent(e.excess) : none) },
  {
    title: "Why",
    wrap: true,
    cell: (e) => (
      <>
        {e.why}
        {e.look?.cause && ` (${e.look.cause})`}
        {e.values?.map((v) => (
          <div key={v.name} class="dim">
            {v.kind} {v.name}: difference {digits(v.low)} to {digits(v.high)}, limit {digits(v.limit)}
          </div>
        ))}
      </>
    ),
  },
];

function EvidenceTable({ list }: { list: readonly Evidence[] }) {
  if (!list.length) return <Empty>There is no evidence yet: the version has had no requests.</Empty>;
  return <PlainTable label="Evidence by guardrail" columns={evidenceColumns} rows={list} keyOf={(e) => e.guardrail} />;
}

/** EvidenceCharts draws the evidence of each guardrail against its threshold, from the events of the journal. */
function EvidenceCharts({ r }: { r: Rollout }) {
  const may = canAll("admin");
  const past = useLoad(async () => (may ? (await newest({ subject: `rollouts/${r.spec.route}` }, 2000)).events : []), [r.id, r.state, r.step, may], 15_000);
  const looks = useMemo(() => {
    const list: { at: number; evidence: Evidence[] }[] = [];
    for (const e of past.data ?? []) {
      const after = e.after as Rollout | undefined;
      if (after?.id === r.id && after.evidence?.length) list.push({ at: Date.parse(e.time) / 1000, evidence: after.evidence });
    }
    list.reverse();
    if (r.evidence.length) list.push({ at: Date.parse(lastLook.value) / 1000, evidence: r.evidence });
    return list;
  }, [past.data, r]);
  const guardrails = r.evidence.filter((e) => e.threshold > 0).map((e) => e.guardrail);
  const x = useMemo(() => looks.map((l) => l.at), [looks]);
  if (!may) return <p class="dim small">The evidence over time is in the journal, which needs the action ‘admin’ on all models.</p>;
  if (past.error !== undefined && !past.data) return <Problem error={past.error} retry={past.again} />;
  if (looks.length < 2) return null;
  const lines = (g: string): Line[] => [
    { label: "evidence", color: 0, values: looks.map((l) => positive(l.evidence.find((e) => e.guardrail === g)?.e_value)) },
    { label: "threshold", color: 5, dash: true, values: looks.map((l) => positive(l.evidence.find((e) => e.guardrail === g)?.threshold)) },
  ];
  return (
    <div class="charts">
      {guardrails.map((g) => (
        <Chart key={g} title={`${g}: evidence that the version is worse`} time log x={x} lines={lines(g)} />
      ))}
    </div>
  );
}

/** positive keeps what a logarithmic scale can show. */
function positive(n: number | undefined): number | null {
  return n !== undefined && Number.isFinite(n) && n > 0 ? Math.max(n, 1e-4) : null;
}

const pastColumns: PlainColumn<Rollout>[] = [
  { title: "Rollout", cell: (r) => r.id },
  { title: "State", cell: (r) => <State of={r.state} /> },
  { title: "Version", number: true, cell: (r) => `v${r.spec.version}` },
  { title: "Started", cell: (r) => clock(r.started_at) },
  { title: "By", cell: (r) => r.started_by.actor },
  { title: "Why it ended", wrap: true, cell: (r) => r.why },
];

/** Past lists the former rollouts of a route. */
function Past({ name, now }: { name: string; now: Rollout }) {
  const list = useLoad(() => ask(client.GET("/api/v1/rollouts/{name}/history", { params: { path: { name } } })), [name, now.id, now.state]);
  const former = (list.data ?? []).filter((r) => r.id !== now.id);
  if (!former.length) return null;
  return (
    <Panel title="Former rollouts">
      <PlainTable label="Former rollouts" columns={pastColumns} rows={former} keyOf={(r) => r.id} />
    </Panel>
  );
}
