import { ask, client, type Schemas } from "./client";

export type Event = Schemas["Event"];

/** What selects events of the journal. Empty fields select everything. */
export interface Filter {
  subject?: string;
  type?: string;
  since?: string;
  until?: string;
}

const page = 1_000;

/** newest returns the last events that a filter selects, the newest first; whole is false if there are older ones. */
export async function newest(filter: Filter, most: number): Promise<{ events: Event[]; whole: boolean }> {
  const events: Event[] = [];
  while (events.length < most) {
    const query: Filter & { newest: true; limit: number; before?: number } = { newest: true, limit: Math.min(page, most - events.length) };
    for (const key of ["subject", "type", "since", "until"] as const) if (filter[key]) query[key] = filter[key];
    const last = events.at(-1);
    if (last) query.before = last.seq;
    const got = await ask(client.GET("/api/v1/journal", { params: { query } }));
    if (!got.length) return { events, whole: true };
    events.push(...got);
  }
  return { events, whole: false };
}
