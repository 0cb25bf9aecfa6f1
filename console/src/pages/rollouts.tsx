import { rollouts, seen, type Rollout } from "../api/live";
import { Empty, Panel, State } from "../ui/bits";
import { clock, points } from "../ui/format";
import { link } from "../ui/router";
import { Plan } from "./plan";

/** final reports whether a rollout has ended. */
export function final(r: Rollout): boolean {
  return r.state === "COMPLETED" || r.state === "ROLLED_BACK";
}

/** Rollouts lists the last rollout of each route, those in progress first. */
export function Rollouts() {
  const list = [...rollouts.value.values()].sort((a, b) => Number(final(a)) - Number(final(b)) || b.started_at.localeCompare(a.started_at));
  return (
    <>
      <h1>Rollouts</h1>
      <Panel title="Last rollout of each route">
        {list.length === 0 ? (
          <Empty>{seen.value ? "No route has had a rollout." : "Waiting for the gateway."}</Empty>
        ) : (
          <div class="scroll-x" tabIndex={0} role="region" aria-label="Rollouts">
            <table class="plain">
              <thead>
                <tr>
                  <th>Route</th>
                  <th>State</th>
                  <th class="n">Version</th>
                  <th class="n">Weight</th>
                  <th>Since</th>
                  <th>By</th>
                  <th>Why</th>
                </tr>
              </thead>
              <tbody>
                {list.map((r) => (
                  <tr key={r.id}>
                    <td>
                      <a href={link("rollouts", r.spec.route)}>{r.spec.route}</a>
                    </td>
                    <td>
                      <State of={r.state} />
                    </td>
                    <td class="n">v{r.spec.version}</td>
                    <td class="n">{points(r.weight)}</td>
                    <td>{clock(r.since_at)}</td>
                    <td>{r.started_by.actor}</td>
                    <td class="wrap">{r.why}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
      <Plan route="" />
    </>
  );
}
