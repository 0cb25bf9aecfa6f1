import { ask, client, type Schemas } from "./client";

export type Event = Schemas["Event"];

/** What selects events of the journal. Empty fields select everything. */
export interface Filter {
  subject?: string;
  type?: string;
  since?: string;
  until?: string;
}

const page = 10_000;
const maxPages = 20;

/**
 * newest returns the last events that a filter selects, the newest first. The API lists the oldest first, so it reads on until
 * the end; whole is false if there are more events than it reads.
 */
export async function newest(filter: Filter, most: number): Promise<{ events: Event[]; whole: boolean }> {
  let list: Event[] = [];
  let after = 0;
  for (let n = 0; n < maxPages; n++) {
    const query = { ...filter, after, limit: page };
    for (const key of ["subject", "type", "since", "until"] as const) if (!query[key]) delete query[key];
    const got = await ask(client.GET("/api/v1/journal", { params: { query } }));
    list = [...list, ...got].slice(-most);
    if (got.length < page) return { events: list.reverse(), whole: true };
    after = got[got.length - 1]!.seq;
  }
  return { events: list.reverse(), whole: false };
}
