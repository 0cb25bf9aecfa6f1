import { computed, signal } from "@preact/signals";
import { ApiError, base, credentials, errorOf, token, type Schemas } from "./client";
import { counterStream, forget, stream, watchStates } from "./live";

/** Who the caller is and what it may do. */
export type Session = Schemas["Session"];

/** The session, or null until it is known. A gateway that has no such endpoint leaves it null: it decides about each request. */
export const session = signal<Session | null>(null);

/** Why there is no session: the status and text of the answer. */
export const sessionProblem = signal<ApiError | null>(null);

/** refused is true if the gateway wants other credentials. */
export const refused = computed(() => sessionProblem.value?.status === 401 || stream.connection.value.status === 401);

/** fits reports whether a name matches a pattern in which * stands for any characters. */
function fits(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((p) => p.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}

/** can reports whether the caller may do something to a model. It is true as long as that is not known. */
export function can(action: string, model: string): boolean {
  const s = session.value;
  return !s || s.may.some((rule) => rule.actions.includes(action) && rule.models.some((p) => fits(p, model)));
}

/** canSome reports whether the caller may do something to some model. */
export function canSome(action: string): boolean {
  const s = session.value;
  return !s || s.may.some((rule) => rule.actions.includes(action));
}

/** canAll reports whether the caller may do something to every model. */
export function canAll(action: string): boolean {
  const s = session.value;
  return !s || s.may.some((rule) => rule.actions.includes(action) && rule.models.includes("*"));
}

/** missing says what a caller lacks for an action, or "" if it may do it. */
export function missing(action: string, model: string): string {
  return can(action, model) ? "" : `${session.value?.caller ?? "you"} may not do this: it needs the action '${action}' on '${model}'`;
}

export const who = computed(() => session.value?.caller ?? "");

/** call sends a request about the session. */
async function call(method: string): Promise<Session | null> {
  let response: Response;
  try {
    response = await fetch(`${base}/api/v1/session`, { method, headers: credentials() });
  } catch {
    throw new ApiError(0, "the gateway does not answer");
  }
  if (response.status === 204) return null;
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, body);
  return body as Session;
}

/** start asks who the caller is, and watches what it may see. */
export async function start(): Promise<void> {
  try {
    session.value = await call("GET");
    sessionProblem.value = null;
  } catch (error) {
    const problem = error instanceof ApiError ? error : new ApiError(0, String(error));
    session.value = null;
    sessionProblem.value = problem.status === 404 ? null : problem;
  }
  watchStates({ statistics: canSome("statistics"), journal: canAll("admin") });
}

/** again asks and watches with new credentials. */
async function again(): Promise<void> {
  await start();
  stream.restart();
  counterStream.restart();
}

/** signIn uses a token from now on. It may stay in a cookie that scripts cannot read, which outlives the page. */
export async function signIn(text: string, keep: boolean): Promise<void> {
  token.value = text.trim();
  if (keep) {
    await call("POST");
    token.value = ""; // the cookie says the same
  }
  await again();
}

/** signOut forgets the token and ends the session of the cookie. */
export async function signOut(): Promise<void> {
  token.value = "";
  forget();
  try {
    await call("DELETE");
  } finally {
    await again();
  }
}
