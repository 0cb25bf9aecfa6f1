import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError, base, credentials, errorOf, type Schemas } from "../api/client";
import { missing } from "../api/session";
import { Missing } from "../ui/act";
import { Facts, Panel, Problem } from "../ui/bits";
import { link } from "../ui/router";

type Tensor = Schemas["Tensor"];

/** The max number of elements of an input that an example has. */
const maxElements = 10_000;

/** valueOf returns an element that a datatype allows. */
function valueOf(datatype: string, i: number): unknown {
  if (datatype === "BOOL") return i % 2 === 0;
  if (datatype === "BYTES") return "text";
  return datatype.startsWith("FP") || datatype === "BF16" ? 0.5 : 1;
}

/** exampleOf makes a valid request of a signature: each dimension that varies is 1, and optional inputs are left out. */
export function exampleOf(inputs: readonly Tensor[]): string {
  const list = inputs
    .filter((t) => !t.optional)
    .map((t) => {
      const shape = t.shape.map((d) => (d < 0 ? 1 : d));
      const size = Math.min(shape.reduce((a, b) => a * b, 1), maxElements);
      return { name: t.name, datatype: t.datatype, shape, data: Array.from({ length: size }, (_, i) => valueOf(t.datatype, i)) };
    });
  const lines = list.map((t) => `    {"name": ${JSON.stringify(t.name)}, "datatype": "${t.datatype}", "shape": ${JSON.stringify(t.shape)},\n     "data": ${JSON.stringify(t.data)}}`);
  return `{\n  "inputs": [\n${lines.join(",\n")}\n  ]\n}`;
}

interface Answer {
  body: string;
  took: number;
  served: [string, string][];
}

const shown = ["Sluice-Version", "Sluice-Route", "Sluice-Reason", "X-Request-Id"];

/** ask sends a request to a model, as the data plane gets it, or to one version. */
async function ask(path: string, body: string): Promise<Answer> {
  const begun = performance.now();
  let response: Response;
  try {
    response = await fetch(`${base}/api/v1/models/${path}/infer`, { method: "POST", headers: { ...credentials(), "Content-Type": "application/json" }, body });
  } catch {
    throw new ApiError(0, "the gateway does not answer");
  }
  const text = await response.text();
  if (!response.ok) {
    let said: unknown;
    try {
      said = JSON.parse(text);
    } catch {
      said = { error: text };
    }
    throw errorOf(response.status, said);
  }
  const served = shown.map((h): [string, string] => [h, response.headers.get(h) ?? ""]).filter(([, v]) => v !== "");
  return { body: text, took: performance.now() - begun, served };
}

/** pretty writes JSON with lists of numbers on one line. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).replace(/\[[^[\]{}]*\]/g, (list) => list.replace(/\s+/g, " "));
  } catch {
    return text; // NaN and infinities are not JSON, and are shown as they came
  }
}

/** Try sends a request that the signature allows, and shows the answer with what served it. */
export function Try({ name, version, detail }: { name: string; version: number; detail: Schemas["ModelDetail"] }) {
  const [body, setBody] = useState(() => exampleOf(detail.inputs));
  const [pinned, pin] = useState(false);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const lacks = missing("infer", name);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      setAnswer(await ask(pinned ? `${encodeURIComponent(name)}/versions/${version}` : encodeURIComponent(name), body));
    } catch (failure) {
      setAnswer(undefined);
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title="Try it">
      <div class="two">
        <form onSubmit={(e) => void send(e)}>
          <label class="field">
            <span>Request, as JSON of the Open Inference Protocol</span>
            <textarea name="request" spellcheck={false} value={body} onInput={(e) => setBody(e.currentTarget.value)} />
          </label>
          <label class="check">
            <input type="checkbox" checked={pinned} onChange={(e) => pin(e.currentTarget.checked)} />
            <span>Ask version {version} itself. Without this, the route decides, as for any request.</span>
          </label>
          <div class="buttons">
            <button type="submit" class="main" disabled={busy || !!lacks} title={lacks}>
              {busy ? "Sending…" : "Send"}
            </button>
            <button type="button" onClick={() => setBody(exampleOf(detail.inputs))}>
              Example
            </button>
          </div>
          <Missing text={lacks} />
        </form>
        <div aria-live="polite">
          {error !== undefined && <Problem error={error} />}
          {answer && (
            <>
              <Facts
                of={[
                  ...answer.served.map(([h, v]): [string, ComponentChildren] => [h.replace("Sluice-", ""), h === "Sluice-Version" ? <a href={link("models", name, v)}>v{v}</a> : v]),
                  ["Round trip", `${answer.took.toFixed(1)} ms`],
                ]}
              />
              <h3>Answer</h3>
              <pre class="doc" tabIndex={0} id="answer">
                {pretty(answer.body)}
              </pre>
            </>
          )}
        </div>
      </div>
    </Panel>
  );
}
