import { signal } from "@preact/signals";

/** A place in the console: the parts of the path after # and its parameters. */
export interface Place {
  parts: string[];
  query: URLSearchParams;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
addEventListener("hashchange", () => (place.value = read()));

/** link returns the address of a place. */
export function link(...parts: (string | number)[]): string {
  return `#/${parts.map((p) => encodeURIComponent(p)).join("/")}`;
}

/** linkWith returns the address of a place with parameters. Empty ones are left out. */
export function linkWith(part: string, query: Record<string, string>): string {
  const text = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== "")).toString();
  return link(part) + (text ? `?${text}` : "");
}

/** linkOf returns the address of the subject of an event, or "" if it has no page. */
export function linkOf(subject: string): string {
  const [kind, name, version] = subject.split("/");
  if (!name) return "";
  switch (kind) {
    case "routes":
      return link("routes", name);
    case "rollouts":
      return link("rollouts", name);
    case "models":
    case "aliases":
      return version && kind === "models" ? link("models", name, version) : link("models", name);
    case "drift":
    case "loss":
    case "retrain":
    case "signals":
    case "dataquality":
      return link("drift", name);
    default:
      return "";
  }
}
