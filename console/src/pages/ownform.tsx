import { at, groups, nothing, stepsOf, write, type Own, type QueryText, type Setting, type Spec } from "./ownspec";

const durations = "(\\d+(\\.\\d+)?(h|m|s|ms))+";

/**
 * OwnForm asks for steps and guardrails other than those of the preset. What is empty has the value of the preset, which is shown once
 * a plan is known.
 */
export function OwnForm({ own, change, plan }: { own: Own; change: (own: Own) => void; plan: Spec | undefined }) {
  const set = (path: string, text: string) => change({ ...own, values: { ...own.values, [path]: text } });
  return (
    <details class="own" open={own !== nothing || undefined}>
      <summary>Steps and guardrails of your own</summary>
      <p class="dim small">Empty fields have the values of the preset. Times are like 90s, 10m or 1h.</p>
      <Steps own={own} change={change} plan={plan} />
      <div class="groups">
        {groups.map((g) => (
          <fieldset key={g.title}>
            <legend>{g.title}</legend>
            {g.settings.map((s) => (
              <Field key={s.path} of={s} value={own.values[s.path] ?? ""} preset={write(s.unit, at(plan, s.path))} set={(text) => set(s.path, text)} />
            ))}
          </fieldset>
        ))}
      </div>
      <Queries own={own} change={change} />
      <button type="button" onClick={() => change(nothing)}>
        Back to the preset
      </button>
    </details>
  );
}

function Field({ of, value, preset, set }: { of: Setting; value: string; preset: string; set: (text: string) => void }) {
  const input = (e: { currentTarget: HTMLInputElement | HTMLSelectElement }) => set(e.currentTarget.value);
  return (
    <label class="field">
      <span>{of.title}</span>
      {of.choices ? (
        <select name={of.path} value={value} onChange={input}>
          <option value="">{preset ? `${preset}, as the preset` : "as the preset"}</option>
          {of.choices.map((c) => (
            <option key={c}>{c}</option>
          ))}
        </select>
      ) : (
        <input name={of.path} value={value} placeholder={preset || "as the preset"} inputMode={of.unit === "duration" ? "text" : "decimal"} pattern={of.unit === "duration" ? durations : "\\d*\\.?\\d*"} autocomplete="off" onInput={input} />
      )}
    </label>
  );
}

function Steps({ own, change, plan }: { own: Own; change: (own: Own) => void; plan: Spec | undefined }) {
  const set = (i: number, key: "weight" | "for", text: string) => change({ ...own, steps: own.steps.map((s, n) => (n === i ? { ...s, [key]: text } : s)) });
  const given = stepsOf(plan);
  return (
    <fieldset>
      <legend>Steps</legend>
      {own.steps.length === 0 && <p class="dim small">{given.length ? `As the preset: ${given.map((s) => `${s.weight} % for ${s.for}`).join(", ")}.` : "As the preset."}</p>}
      {own.steps.map((s, i) => (
        <div class="row" key={i}>
          <label class="field">
            <span>Step {i + 1}: weight, %</span>
            <input name={`weight-${i}`} value={s.weight} required inputMode="decimal" pattern="\d*\.?\d*" autocomplete="off" onInput={(e) => set(i, "weight", e.currentTarget.value)} />
          </label>
          <label class="field">
            <span>for at most</span>
            <input name={`for-${i}`} value={s.for} required pattern={durations} autocomplete="off" onInput={(e) => set(i, "for", e.currentTarget.value)} />
          </label>
          <button type="button" aria-label={`Remove step ${i + 1}`} onClick={() => change({ ...own, steps: own.steps.filter((_, n) => n !== i) })}>
            Remove
          </button>
        </div>
      ))}
      <div class="buttons">
        <button type="button" onClick={() => change({ ...own, steps: [...own.steps, { weight: "", for: own.steps.at(-1)?.for ?? "10m" }] })}>
          Add a step
        </button>
        {own.steps.length === 0 && given.length > 0 && (
          <button type="button" onClick={() => change({ ...own, steps: given })}>
            Change those of the preset
          </button>
        )}
      </div>
    </fieldset>
  );
}

const blank: QueryText = { name: "", query: "", min: "", max: "", failures: "" };
const parts: [keyof QueryText, string, boolean][] = [
  ["name", "Name", true],
  ["query", "Query", true],
  ["min", "At least", false],
  ["max", "At most", false],
  ["failures", "Failures in a row for a rollback", false],
];

function Queries({ own, change }: { own: Own; change: (own: Own) => void }) {
  const set = (i: number, key: keyof QueryText, text: string) => change({ ...own, queries: own.queries.map((q, n) => (n === i ? { ...q, [key]: text } : q)) });
  return (
    <fieldset>
      <legend>Queries of Prometheus</legend>
      <p class="dim small">The gateway asks them every ten seconds, and rolls back if a value is outside its limits several times in a row. It needs prometheus.url.</p>
      {own.queries.map((q, i) => (
        <div class="row" key={i}>
          {parts.map(([key, title, required]) => (
            <label class="field" key={key}>
              <span>{title}</span>
              <input name={`${key}-query-${i}`} value={q[key]} required={required} autocomplete="off" onInput={(e) => set(i, key, e.currentTarget.value)} />
            </label>
          ))}
          <button type="button" aria-label={`Remove query ${i + 1}`} onClick={() => change({ ...own, queries: own.queries.filter((_, n) => n !== i) })}>
            Remove
          </button>
        </div>
      ))}
      <div class="buttons">
        <button type="button" onClick={() => change({ ...own, queries: [...own.queries, blank] })}>
          Add a query
        </button>
      </div>
    </fieldset>
  );
}
