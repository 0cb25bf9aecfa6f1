import { rollouts, seen, type Rollout } from "../api/live";
import { Empty, Panel, State } from "../ui/bits";
import { clock, points } from "../ui/format";
import { PlainTable, type PlainColumn } from "../ui/plain";
import { link } from "../ui/router";
import { Plan } from "./plan";

/** final reports whether a rollout has ended. */
export function final(r: Rollout): boolean {
  return r.state === "COMPLETED" || r.state === "ROLLED_BACK";
}

const columns: PlainColumn<Rollout>[] = [
  { title: "Route", cell: (r) => <a href={link("rollouts", r.spec.route)}>{r.spec.route}</a> },
  { title: "State", cell: (r) => <State of={r.state} /> },
  { title: "Version", number: true, cell: (r) => `v${r.spec.version}` },
  { title: "Weight", number: true, cell: (r) => points(r.weight) },
  { title: "Since", cell: (r) => clock(r.since_at) },
  { title: "By", cell: (r) => r.started_by.actor },
  { title: "Why", wrap: true, cell: (r) => r.why },
];

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
          <PlainTable label="Rollouts" columns={columns} rows={list} keyOf={(r) => r.id} />
        )}
      </Panel>
      <Plan route="" />
    </>
  );
}
