/** The text for a number that is missing or not finite. */
export const none = "–";

/** count writes a whole number with thousands apart. */
export function count(n: number | null | undefined): string {
  return n == null || !Number.isFinite(n) ? none : Math.round(n).toLocaleString("en-US");
}

/** digits writes a number with three significant digits. */
export function digits(n: number | null | undefined): string {
  if (n == null || Number.isNaN(n)) return none;
  if (!Number.isFinite(n)) return n > 0 ? "∞" : "−∞";
  if (n === 0) return "0";
  const size = Math.abs(n);
  if (size >= 1000) return Math.round(n).toLocaleString("en-US");
  if (size < 0.001) return n.toExponential(1);
  return String(Number(n.toPrecision(3)));
}

/** percent writes a share of 1. */
export function percent(share: number | null | undefined): string {
  if (share == null || !Number.isFinite(share)) return none;
  const p = share * 100;
  if (p !== 0 && Math.abs(p) < 0.01) return `${p.toExponential(0)} %`;
  return `${Number(p.toFixed(p < 1 && p > -1 ? 2 : 1))} %`;
}

/** points writes basis points as a percentage. */
export function points(bp: number): string {
  return `${Number((bp / 100).toFixed(2))} %`;
}

/** seconds writes a time span in seconds. */
export function seconds(s: number | null | undefined): string {
  if (s == null || !Number.isFinite(s)) return none;
  const size = Math.abs(s);
  if (size === 0) return "0";
  if (size < 0.001) return `${digits(s * 1e6)} µs`;
  if (size < 1) return `${digits(s * 1e3)} ms`;
  if (size < 120) return `${digits(s)} s`;
  if (size < 7200) return `${Math.round(s / 60)} min`;
  if (size < 172_800) return `${digits(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

const units: Record<string, number> = { ns: 1e-9, us: 1e-6, "µs": 1e-6, "μs": 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** parseDuration reads Go's text of a duration, such as "1m30.5s". It returns seconds, or NaN. */
export function parseDuration(text: string | undefined): number {
  if (!text) return NaN;
  if (text === "0") return 0;
  let total = 0;
  let used = 0;
  for (const m of text.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(m[1]) * (units[m[2] ?? ""] ?? NaN);
    used += m[0].length;
  }
  return used === text.replace(/^-/, "").length ? (text.startsWith("-") ? -total : total) : NaN;
}

/** duration writes Go's text of a duration for people. */
export function duration(text: string | undefined): string {
  return seconds(parseDuration(text));
}

/** bytes writes a size. */
export function bytes(n: number | null | undefined): string {
  if (n == null || !Number.isFinite(n)) return none;
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < names.length - 1) {
    n /= 1024;
    i++;
  }
  return `${digits(n)} ${names[i]}`;
}

/** real reports whether a time of the API is one: Go's zero time is not. */
export function real(time: string | null | undefined): time is string {
  return !!time && !time.startsWith("0001-");
}

/** clock writes a time of the API in this browser's time zone, with the date if it is not today. */
export function clock(time: string | null | undefined): string {
  if (!real(time)) return none;
  const t = new Date(time);
  if (Number.isNaN(t.getTime())) return none;
  const at = t.toLocaleTimeString("en-GB");
  return t.toDateString() === new Date().toDateString() ? at : `${day(t)} ${at}`;
}

/** day writes the date of a time in this browser's time zone. */
export function day(t: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

/** short writes the first characters of a digest. */
export function short(digest: string | undefined): string {
  return digest ? digest.replace(/^sha256:/, "").slice(0, 12) : none;
}
