import { signal } from "@preact/signals";
import { ApiError, base, credentials, errorOf, sayError, type Schemas } from "./client";
import { readEvents, type Message } from "./sse";

/** What is known of a connection. Data is stale unless it is live. */
export interface Connection {
  state: "connecting" | "live" | "lost" | "refused" | "paused";
  why: string;
  status: number;
  /** When the last message arrived, in ms since 1970 by this browser's clock. 0 if none has. */
  heard: number;
  /** When the stream connects again, if it is lost. */
  retryAt: number;
}

/** What a stream delivers. */
export interface Sink {
  states(s: Schemas["WatchStates"]): void;
  journal?(e: Schemas["Event"]): void;
  gap?(g: Schemas["WatchMissing"]): void;
}

const firstWait = 500;
const lastWait = 15_000;
/** The gateway writes at least every 15 s. A stream that is silent for longer is lost. */
const maxSilence = 35_000;

/** Stream keeps a connection to GET /api/v1/watch open, and opens it again if it is lost. */
export class Stream {
  readonly connection = signal<Connection>({ state: "paused", why: "", status: 0, heard: 0, retryAt: 0 });
  private query = "";
  private abort: AbortController | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private wait = firstWait;
  private lastEvent = "";
  private journalOf = "";

  constructor(private readonly sink: Sink) {}

  /** watch selects what to watch. An empty query closes the stream. */
  watch(query: URLSearchParams): void {
    const text = query.toString();
    if (text === this.query) return;
    const journal = query.get("journal") ? `${query.get("subject") ?? ""} ${query.get("type") ?? ""}` : "";
    if (journal !== this.journalOf) this.lastEvent = "";
    this.journalOf = journal;
    this.query = text;
    this.wait = firstWait;
    this.restart();
  }

  /** restart connects at once, for example with another token. */
  restart(): void {
    this.stop();
    if (this.query) void this.run();
  }

  /** pause closes the connection, for example while nobody sees the page. */
  pause(): void {
    this.stop();
    this.set({ state: "paused", why: "", status: 0, retryAt: 0 });
  }

  private stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.abort?.abort();
    this.abort = undefined;
  }

  private set(change: Partial<Connection>): void {
    this.connection.value = { ...this.connection.value, ...change };
  }

  private async run(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    if (this.connection.value.state !== "live") this.set({ state: "connecting", why: "", status: 0 });
    let why = "the stream has ended";
    try {
      const headers = credentials();
      if (this.lastEvent) headers["Last-Event-ID"] = this.lastEvent;
      const response = await fetch(`${base}/api/v1/watch?${this.query}`, { headers, signal: abort.signal, cache: "no-store" });
      if (!response.ok || !response.body) throw errorOf(response.status, await response.json().catch(() => null));
      const listen = () => this.listen(abort);
      listen();
      await readEvents(response.body, (m) => (why = this.take(m) ?? why), listen);
    } catch (error) {
      if (abort.signal.aborted && this.abort !== abort) return;
      if (error instanceof ApiError && error.status !== 503 && error.status !== 429 && error.status < 500) {
        this.stop();
        this.set({ state: "refused", why: error.message, status: error.status, retryAt: 0 });
        return;
      }
      why = error instanceof ApiError ? sayError(error) : "the gateway does not answer";
    }
    if (this.abort !== abort) return;
    this.again(why);
  }

  /** listen notes a sign of life, and ends the connection if the next one does not come. */
  private listen(abort: AbortController): void {
    if (this.abort !== abort) return;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => abort.abort(), maxSilence);
    this.set({ heard: Date.now() });
  }

  private again(why: string): void {
    this.stop();
    const jitter = 0.5 + Math.random() / 2;
    const wait = this.wait * jitter;
    this.wait = Math.min(this.wait * 2, lastWait);
    this.set({ state: "lost", why, retryAt: Date.now() + wait });
    this.timer = setTimeout(() => void this.run(), wait);
  }

  /** take handles a message. It returns why the stream ends, if it says so. */
  private take(m: Message): string | undefined {
    if (m.id && m.id !== "0") this.lastEvent = m.id;
    const data: unknown = JSON.parse(m.data);
    switch (m.event) {
      case "start":
        this.wait = firstWait;
        this.set({ state: "live", why: "", status: 200, retryAt: 0 });
        break;
      case "state":
        this.sink.states(data as Schemas["WatchStates"]);
        break;
      case "journal":
        this.sink.journal?.(data as Schemas["Event"]);
        break;
      case "gap":
        this.sink.gap?.(data as Schemas["WatchMissing"]);
        break;
      case "end":
        return (data as Schemas["Error"]).error;
    }
    return undefined;
  }
}
