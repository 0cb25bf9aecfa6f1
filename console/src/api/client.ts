import createClient from "openapi-fetch";
import { signal } from "@preact/signals";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** The address of the page without its last part, so that the console works below any path. */
export const base = new URL(".", location.href.split("#")[0]).href.replace(/\/$/, "");

/** The token that a person has typed. It is kept in memory only, and is lost with the page. */
export const token = signal("");

/** The name that an anonymous caller gives to the journal. */
export const actor = signal("");

/** An answer that is not 2xx, or none at all. The status is 0 if the gateway cannot be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** headerText encodes text as UTF-8 in a header. Browsers accept one byte for each character there. */
export function headerText(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** credentials returns the headers that say who is calling. */
export function credentials(): Record<string, string> {
  const headers: Record<string, string> = { "Sluice-Session": "1" }; // a form of another site cannot send it
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  if (actor.value) headers["Sluice-Actor"] = headerText(actor.value);
  return headers;
}

export const client = createClient<paths>({ baseUrl: base });
client.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(credentials())) request.headers.set(name, value);
    return request;
  },
});

/** errorOf makes an error of the body of an answer. */
export function errorOf(status: number, body: unknown): ApiError {
  const said = typeof body === "object" && body !== null && "error" in body ? String(body.error) : "";
  return new ApiError(status, said || `the gateway answered with status ${status}`);
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** ask waits for an answer and returns its document. It throws an ApiError for anything else. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  return (await askAll(answer)).data;
}

/** askAll is ask for callers who need the headers too. */
export async function askAll<T>(answer: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let got: Answer<T>;
  try {
    got = await answer;
  } catch (error) {
    throw new ApiError(0, error instanceof SyntaxError ? "the answer is not JSON" : "the gateway does not answer");
  }
  if (!got.response.ok) throw errorOf(got.response.status, got.error);
  return { data: got.data as T, response: got.response };
}

/** change returns the headers of a change: why, and of which revision. */
export function change(reason: string, revision?: number): Record<string, string> {
  const headers: Record<string, string> = {};
  if (reason) headers["Sluice-Change-Reason"] = headerText(reason);
  if (revision !== undefined) headers["If-Match"] = `"${revision}"`;
  return headers;
}

/** sayError returns the text of any error for people. */
export function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
