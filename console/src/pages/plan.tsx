import { useState } from "preact/hooks";
import { ask, change, client, type Schemas } from "../api/client";
import { models, rollouts, routes } from "../api/live";
import { missing } from "../api/session";
import { Act, Missing } from "../ui/act";
import { Panel, Problem } from "../ui/bits";
import { count, digits, duration, parseDuration, percent, points } from "../ui/format";
import { link } from "../ui/router";
import { OwnForm } from "./ownform";
import { nothing, specOf, type Spec } from "./ownspec";

type PlanDoc = Schemas["RolloutPlan"];

/** Plan asks for a rollout, shows what it would do with the present traffic, and starts it. */
export function Plan({ route }: { route: string }) {
  const names = [...routes.value.keys()].sort();
  const [name, setName] = useState(route);
  const chosen = name || route || names[0] || "";
  const current = routes.value.get(chosen);
  const versions = [...new Set((models.value.get(current?.model ?? "") ?? []).map((m) => m.version))].sort((a, b) => b - a);
  const [version, setVersion] = useState("");
  const [preset, setPreset] = useState("standard");
  const [answer, setAnswer] = useState<{ spec: Spec; plan?: PlanDoc; error?: unknown }>();
  const [busy, setBusy] = useState(false);
  const lacks = missing("rollout", chosen);
  const [own, setOwn] = useState(nothing);
  const [known, setKnown] = useState<Spec>(); // what a preset means
  const spec = specOf(chosen, Number(version), preset, own);
  const fresh = answer && JSON.stringify(answer.spec) === JSON.stringify(spec) ? answer : undefined;
  const plan = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const plan = await ask(client.POST("/api/v1/rollouts/plan", { body: spec }));
      if (own === nothing) setKnown(plan.spec);
      setAnswer({ spec, plan });
    } catch (error) {
      setAnswer({ spec, error });
    } finally {
      setBusy(false);
    }
  };
  const start = async (reason: string) => {
    const begun = await ask(client.POST("/api/v1/rollouts", { params: { header: change(reason) }, body: spec }));
    rollouts.value = new Map(rollouts.value).set(begun.spec.route, begun);
    setAnswer(undefined);
    location.hash = link("rollouts", begun.spec.route);
  };
  return (
    <Panel title="Plan a rollout" id="plan">
      <form onSubmit={(e) => void plan(e)}>
        <div class="bar">
          {!route && (
            <label class="field">
              <span>Route</span>
              <select name="route" value={chosen} onChange={(e) => setName(e.currentTarget.value)}>
                {names.map((n) => (
                  <option key={n}>{n}</option>
                ))}
              </select>
            </label>
          )}
          <label class="field">
            <span>Version</span>
            <input name="version" list="versions" inputMode="numeric" pattern="[1-9][0-9]*" required size={6} value={version} onInput={(e) => setVersion(e.currentTarget.value)} />
            <datalist id="versions">
              {versions.map((v) => (
                <option key={v} value={v} />
              ))}
            </datalist>
          </label>
          <label class="field">
            <span>Preset</span>
            <select name="preset" value={preset} onChange={(e) => setPreset(e.currentTarget.value)}>
              <option>careful</option>
              <option>standard</option>
              <option>fast</option>
            </select>
          </label>
          <button type="submit" class="main" disabled={busy || !!lacks || !version} title={lacks}>
            Show the plan
          </button>
        </div>
        <OwnForm own={own} change={setOwn} plan={known?.preset === preset ? known : undefined} />
      </form>
      <Missing text={lacks} />
      {fresh?.error !== undefined && <Problem error={fresh.error} />}
      {fresh?.plan && (
        <>
          <PlanFacts plan={fresh.plan} />
          <div class="buttons">
            <Act label="Start the rollout" tone="main" missing={lacks} run={start} says={<p>{`Version ${version} gets the traffic of ${chosen} in steps.`}</p>} />
          </div>
        </>
      )}
    </Panel>
  );
}

/** PlanFacts shows the numbers of a plan. */
function PlanFacts({ plan }: { plan: PlanDoc }) {
  return (
    <div aria-label="The plan" role="group">
      <p>
        It takes at most <b>{duration(plan.duration)}</b> in steps
        {parseDuration(plan.expected) === 0 ? ", and no pass is expected in that time" : `, and about ${duration(plan.expected)} if the version is as good`}. A version that is not worse is rolled back with a probability of at most{" "}
        <b>{percent(plan.false_rollback)}</b>. The route gets {digits(plan.requests_per_second)} requests per second now, of which {percent(plan.error_rate)} fail.
      </p>
      {plan.problems.map((p) => (
        <div key={p} class="notice warn">
          {p}
        </div>
      ))}
      <div class="two">
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Steps of the plan">
          <table class="plain">
            <thead>
              <tr>
                <th>Step</th>
                <th class="n">Weight</th>
                <th class="n">Control</th>
                <th class="n">At most</th>
                <th class="n">Requests</th>
              </tr>
            </thead>
            <tbody>
              {plan.steps.map((s, i) => (
                <tr key={i}>
                  <td>{i + 1}</td>
                  <td class="n">{points(s.weight)}</td>
                  <td class="n">{points(s.control)}</td>
                  <td class="n">{duration(s.for)}</td>
                  <td class="n">{count(s.requests)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Power of the plan">
          <table class="plain">
            <thead>
              <tr>
                <th>If it is worse</th>
                <th class="n">Found</th>
                <th class="n">After</th>
                <th class="n">Bad requests</th>
              </tr>
            </thead>
            <tbody>
              {plan.power.map((p, i) => (
                <tr key={i}>
                  <td>{p.change}</td>
                  <td class="n">{percent(p.power)}</td>
                  <td class="n">{p.lost > 0 ? duration(p.median) : "–"}</td>
                  <td class="n">{p.lost > 0 ? count(p.lost) : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <ul>
          {plan.assumptions.map((a) => (
            <li key={a}>Assumed: {a}</li>
          ))}
          {plan.not_computed.map((n) => (
            <li key={n}>Not computed: {n}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}
