import { signal } from "@preact/signals";
import { parseDuration } from "../ui/format";
import { ApiError, base, credentials, errorOf } from "./client";

/** Series has a value for each step, null for a step without a sample. */
export type Series = (number | null)[];

/** What a model or a variant did in each step: rates by second, quantiles in seconds. */
export interface Past {
  requests: Series;
  errors: Series;
  p50: Series;
  p99: Series;
  queue?: Series;
}

export interface History {
  from: string;
  step: string;
  /** Since when nothing is missing. */
  since: string;
  /** The longest span that can be asked for: an hour without a Prometheus server. */
  max_span: string;
  models: (Past & { name: string })[];
  routes: { name: string; variants: (Past & { version: number; role: string })[] }[];
}

/** begin returns the number of the first step of a history that is complete. A gateway that has just started has no earlier ones. */
export function begin(h: History, steps: number): number {
  const step = parseDuration(h.step);
  const before = (Date.parse(h.since) - Date.parse(h.from)) / 1000;
  return Math.min(Math.max(Math.floor(before / step), 0), Math.max(steps - 1, 0)) || 0;
}

/** absent is true once the gateway has said that it keeps no history. */
export const absent = signal(false);

/** history asks for what models and routes did in a span, such as "15m". It returns null if the gateway keeps no history. */
export async function history(names: { models?: readonly string[]; routes?: readonly string[] }, span: string, points: number): Promise<History | null> {
  if (absent.value) return null;
  const query = new URLSearchParams({ span, points: String(points) });
  for (const name of names.models ?? []) query.append("model", name);
  for (const name of names.routes ?? []) query.append("route", name);
  let response: Response;
  try {
    response = await fetch(`${base}/api/v1/history?${query}`, { headers: credentials() });
  } catch {
    throw new ApiError(0, "the gateway does not answer");
  }
  const body: unknown = await response.json().catch(() => null);
  const said = typeof body === "object" && body !== null && "error" in body ? String(body.error) : "";
  if (response.status === 404 && said.startsWith("the path ")) {
    absent.value = true;
    return null;
  }
  if (!response.ok) throw errorOf(response.status, body);
  return body as History;
}

/** last returns the last value of a series that is known, among the last few steps. */
export function last(series: Series | undefined): number | null {
  if (!series) return null;
  for (let i = series.length - 1; i >= Math.max(0, series.length - 4); i--) {
    const v = series[i];
    if (v != null) return v;
  }
  return null;
}
