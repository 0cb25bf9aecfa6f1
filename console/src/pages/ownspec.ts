import type { Schemas } from "../api/client";
import { parseDuration } from "../ui/format";

export type Spec = Schemas["RolloutSpec"];
type Query = Schemas["RolloutQuery"];

/** How a setting is typed: percent as a share of 1, points as basis points. */
export type Unit = "percent" | "points" | "count" | "number" | "duration" | "choice";

/** A setting of a rollout that a person may choose. */
export interface Setting {
  path: string;
  title: string;
  unit: Unit;
  choices?: readonly string[];
}

const limit = (of: string): Setting[] => [
  { path: `${of}.ratio`, title: "Worse if more than × the control’s", unit: "number" },
  { path: `${of}.tolerance`, title: "Passes if at most so much above, %", unit: "percent" },
];

/** The settings, in groups. */
export const groups: { title: string; settings: Setting[] }[] = [
  {
    title: "Time and decision",
    settings: [
      { path: "shadow.sample", title: "Copies before the first step, %", unit: "points" },
      { path: "shadow.for", title: "Copies for", unit: "duration" },
      { path: "min_requests", title: "Requests in each step, at least", unit: "count" },
      { path: "inconclusive", title: "If undecided", unit: "choice", choices: ["hold", "ship", "abort"] },
      { path: "alpha", title: "False rollbacks, at most, %", unit: "percent" },
      { path: "bake", title: "Bake for", unit: "duration" },
    ],
  },
  { title: "Errors", settings: limit("errors") },
  { title: "Refused values", settings: limit("refusals") },
  { title: "Latency", settings: [{ path: "latency.objective", title: "Objective", unit: "duration" }, ...limit("latency")] },
  {
    title: "Answers",
    settings: [
      { path: "answers.tolerance", title: "Share of a class, score: differs by at most, %", unit: "percent" },
      { path: "answers.deviation", title: "Mean of a number: by at most, s.d.", unit: "number" },
      { path: "answers.disagreement", title: "Copies answered differently, at most, %", unit: "percent" },
      { path: "answers.loss", title: "Loss by labels: higher by at most, %", unit: "percent" },
    ],
  },
  {
    title: "Abort at once",
    settings: [
      { path: "floor.errors", title: "If errors are at least, %", unit: "percent" },
      { path: "floor.min_requests", title: "Among so many requests", unit: "count" },
    ],
  },
];

export interface StepText {
  weight: string;
  for: string;
}

export type QueryText = Record<"name" | "query" | "min" | "max" | "failures", string>;

/** What a person has typed. Texts that are empty have the value of the preset. */
export interface Own {
  values: Readonly<Record<string, string>>;
  steps: readonly StepText[];
  queries: readonly QueryText[];
}

export const nothing: Own = { values: {}, steps: [], queries: [] };

/** round takes away what a division has added at the end. */
const round = (n: number) => Number(n.toPrecision(12));

function read(unit: Unit, text: string): number | string {
  switch (unit) {
    case "percent":
      return round(Number(text) / 100);
    case "points":
      return Math.round(Number(text) * 100);
    case "count":
    case "number":
      return Number(text);
    default:
      return text.trim();
  }
}

/** write is the text of a value, as a person would type it. */
export function write(unit: Unit, value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  if (unit === "duration") return plainDuration(String(value));
  return unit === "percent" ? String(round(Number(value) * 100)) : unit === "points" ? String(Number(value) / 100) : String(value);
}

/** plainDuration writes "10m0s" as "10m". */
export function plainDuration(text: string): string {
  const s = parseDuration(text);
  if (s === 0) return "0s";
  return Number.isFinite(s) && s % 3600 === 0 ? `${s / 3600}h` : Number.isFinite(s) && s % 60 === 0 ? `${s / 60}m` : text;
}

/** at returns the value of a path in a spec. */
export function at(spec: Spec | undefined, path: string): unknown {
  return path.split(".").reduce<unknown>((of, key) => (of as Record<string, unknown> | undefined)?.[key], spec);
}

/** specOf returns the body of a request for what a person has typed. The gateway checks it, and fills in the rest. */
export function specOf(route: string, version: number, preset: string, own: Own): Spec {
  const spec: Record<string, unknown> = { route, version, preset };
  for (const { settings } of groups) {
    for (const { path, unit } of settings) {
      const text = own.values[path];
      if (!text?.trim()) continue;
      const [first, second] = path.split(".") as [string, string?];
      if (second === undefined) spec[first] = read(unit, text);
      else spec[first] = { ...(spec[first] as object | undefined), [second]: read(unit, text) };
    }
  }
  if (own.steps.length) spec.steps = own.steps.map((s) => ({ weight: read("points", s.weight), for: s.for.trim() }));
  if (own.queries.length) spec.queries = own.queries.map(queryOf);
  return spec as unknown as Spec;
}

function queryOf(q: QueryText): Query {
  const query: Query = { name: q.name.trim(), query: q.query.trim() };
  for (const key of ["min", "max", "failures"] as const) if (q[key].trim()) query[key] = Number(q[key]);
  return query;
}

/** stepsOf returns the steps of a spec as texts that can be changed. */
export function stepsOf(spec: Spec | undefined): StepText[] {
  return (spec?.steps ?? []).map((s) => ({ weight: write("points", s.weight), for: plainDuration(s.for) }));
}
