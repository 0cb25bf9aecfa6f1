import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { servedAt, servedNow } from "../api/past";
import { newest, type Event, type Filter } from "../api/journal";
import { events } from "../api/live";
import { routes } from "../api/live";
import { canAll, missing } from "../api/session";
import { Empty, Facts, Panel, Problem, State } from "../ui/bits";
import { clock, count, none, points, real, short } from "../ui/format";
import { link, linkOf, linkWith, place } from "../ui/router";
import { Table, type Column } from "../ui/table";
import { useLoad, useSettled } from "../ui/use";

const most = 10_000;

const columns = (choose: (e: Event) => void): Column<Event>[] => [
  { key: "seq", title: "No.", number: true, wide: true, cell: (e) => e.seq },
  { key: "time", title: "Time", cell: (e) => clock(e.time) },
  {
    key: "type",
    title: "Type",
    cell: (e) => (
      <button type="button" class="plain-button" onClick={() => choose(e)} aria-label={`Show event ${e.seq}, ${e.type}`}>
        {e.type}
      </button>
    ),
  },
  { key: "subject", title: "Subject", cell: (e) => <Subject of={e.subject} /> },
  {
    key: "actor",
    title: "Actor",
    cell: (e) => (
      <span>
        {e.actor || e.origin}
        {e.actor && !e.actor_verified && <span class="dim"> (unverified)</span>}
      </span>
    ),
  },
  { key: "reason", title: "Reason", wide: true, cell: (e) => <span class="reason">{e.reason}</span> },
];

/** Subject links to the page of what changed. */
function Subject({ of }: { of: string }) {
  const at = linkOf(of);
  return <span class="name">{at ? <a href={at}>{of}</a> : of}</span>;
}

/** local reads the text of a datetime-local input as a time of the API. */
function local(text: string): string {
  const t = new Date(text);
  return text && !Number.isNaN(t.getTime()) ? t.toISOString() : "";
}

/** Journal shows who changed what, and why. */
export function Journal() {
  const given = place.value.query;
  const [filter, setFilter] = useState(() => ({ subject: given.get("subject") ?? "", type: given.get("type") ?? "", actor: given.get("actor") ?? "", since: "", until: "" }));
  const [chosen, choose] = useState<Event>();
  const settled = useSettled(filter, 400);
  const may = canAll("admin");
  const asked: Filter = { subject: settled.subject.trim(), type: settled.type.trim(), since: local(settled.since), until: local(settled.until) };
  const latest = events.value[0]?.seq ?? 0;
  const fresh = useSettled(latest, 1000);
  const key = JSON.stringify(asked);
  const list = useLoad(() => (may ? newest(asked, most) : Promise.resolve({ events: [], whole: true })), [key, may, fresh]);
  const [kept, keep] = useState(list.data);
  useEffect(() => {
    if (list.data) keep(list.data);
  }, [list.data]);
  useEffect(() => {
    const { subject, type, actor } = settled;
    history.replaceState(null, "", linkWith("journal", { subject, type, actor }));
  }, [settled]);
  const actor = settled.actor.trim().toLowerCase();
  const rows = useMemo(() => (kept?.events ?? []).filter((e) => !actor || e.actor.toLowerCase().includes(actor)), [kept, actor]);
  type Name = keyof typeof filter;
  const props = (name: Name) => ({ name, value: filter[name], onInput: (e: { currentTarget: HTMLInputElement }) => setFilter({ ...filter, [name]: e.currentTarget.value }) });
  const field = (title: string, input: ComponentChildren) => (
    <label class="field">
      <span>{title}</span>
      {input}
    </label>
  );
  return (
    <>
      <h1>Journal</h1>
      <ServedAt />
      {!may ? (
        <Empty>{missing("admin", "*") || "The journal needs the action ‘admin’ on all models."}</Empty>
      ) : (
        <>
          <div class="bar">
            {field("Subject", <input placeholder="routes/iris or models/" {...props("subject")} />)}
            {field("Type", <input placeholder="route.set or rollout." {...props("type")} />)}
            {field("Actor", <input {...props("actor")} />)}
            {field("Since", <input type="datetime-local" {...props("since")} />)}
            {field("Until", <input type="datetime-local" {...props("until")} />)}
            <span class="dim" role="status">
              {list.loading && !kept ? "reading…" : `${count(rows.length)} events${kept && !kept.whole ? ", the newest ones" : ""}`}
            </span>
          </div>
          {list.error !== undefined && <Problem error={list.error} retry={list.again} />}
          {chosen && <Detail of={chosen} close={() => choose(undefined)} />}
          {rows.length > 0 ? (
            <Table label="Events" columns={columns(choose)} rows={rows} keyOf={(e) => String(e.seq)} sorting={{ key: "", down: true }} onSort={() => undefined} />
          ) : (
            !list.loading && <Empty>No event fits.</Empty>
          )}
        </>
      )}
    </>
  );
}

/** Detail shows an event as a whole. */
function Detail({ of, close }: { of: Event; close: () => void }) {
  const text = (x: unknown) => (x === undefined ? none : JSON.stringify(x, null, 2));
  return (
    <Panel
      title={`Event ${of.seq}: ${of.type}`}
      side={
        <button type="button" onClick={close}>
          Close
        </button>
      }
    >
      <Facts
        of={[
          ["Subject", <Subject of={of.subject} />],
          ["Time", clock(of.time)],
          ["Actor", `${of.actor || none}${of.actor_verified ? ", verified" : ", not verified"}`],
          ["Origin", of.origin],
          ["Reason", of.reason],
        ]}
      />
      <div class="two">
        <div>
          <h3>Before</h3>
          <pre class="doc" tabIndex={0}>{text(of.before)}</pre>
        </div>
        <div>
          <h3>After</h3>
          <pre class="doc" tabIndex={0}>{text(of.after)}</pre>
        </div>
      </div>
    </Panel>
  );
}

/** ServedAt asks what served a name at a time. */
function ServedAt() {
  const names = [...routes.value.keys()].sort();
  const [name, setName] = useState("");
  const [at, setAt] = useState("");
  const [answer, setAnswer] = useState<Schemas["ServedAt"]>();
  const [error, setError] = useState<unknown>();
  const chosen = name || names[0] || "";
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setError(undefined);
    try {
      setAnswer(at ? await servedAt(chosen, local(at)) : await servedNow(chosen));
    } catch (failure) {
      setAnswer(undefined);
      setError(failure);
    }
  };
  return (
    <Panel title="What served at a time">
      <form class="bar" onSubmit={(e) => void send(e as SubmitEvent)}>
        <label class="field">
          <span>Model or route</span>
          <select name="route" value={chosen} onChange={(e) => setName(e.currentTarget.value)}>
            {names.map((n) => (
              <option key={n}>{n}</option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Time; now if empty</span>
          <input type="datetime-local" step={1} value={at} onInput={(e) => setAt(e.currentTarget.value)} />
        </label>
        <button type="submit">Look</button>
      </form>
      {error !== undefined && <Problem error={error} />}
      {answer && <Served of={answer} />}
    </Panel>
  );
}

function Served({ of }: { of: Schemas["ServedAt"] }) {
  return (
    <div aria-live="polite">
      <p>
        {of.name} at {clock(of.at)}: the gateway was <State of={of.gateway.state} tone={of.gateway.state === "up" ? "good" : "warn"} />
        {of.revision ? `, revision ${of.revision} of the route` : ", no route was declared"}
        {of.change && ` by ${of.change.actor}${of.change.reason ? `: “${of.change.reason}”` : ""}`}.
      </p>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="What served">
        <table class="plain">
          <tbody>
            {[...of.variants.map((v) => ({ ...v, what: v.role, share: v.weight })), ...of.shadows.map((s) => ({ ...s, what: "shadow", share: s.sample }))].map((v) => (
              <tr key={`${v.version} ${v.what}`}>
                <td>
                  <a href={link("models", of.model, v.version)}>v{v.version}</a>
                </td>
                <td>{v.what}</td>
                <td class="n">{points(v.share)}</td>
                <td>
                  <State of={v.state} />
                </td>
                <td class="mono">{short(v.digest)}</td>
                <td>{real(v.loaded_at) ? `loaded ${clock(v.loaded_at)}` : ""}</td>
                <td class="wrap">{v.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
