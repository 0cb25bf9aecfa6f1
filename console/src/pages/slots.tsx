import { useRef } from "preact/hooks";
import { points } from "../ui/format";

/** The sum of the weights of a route, in basis points. */
export const whole = 10_000;
/** Dragging and arrow keys move whole percents; with Shift, hundredths of them. */
const step = 100;
const fine = 1;

export interface Part {
  name: string;
  role: string;
}

const labelOf = (p: Part) => `${p.name} ${p.role}`;

/** move moves the boundary behind a part to a place from 0 to whole. Only the parts on both sides of it change. */
export function move(weights: readonly number[], boundary: number, to: number): number[] {
  const next = [...weights];
  const before = weights.slice(0, boundary).reduce((a, b) => a + b, 0);
  const both = (weights[boundary] ?? 0) + (weights[boundary + 1] ?? 0);
  const left = Math.min(Math.max(Math.round(to) - before, 0), both);
  next[boundary] = left;
  next[boundary + 1] = both - left;
  return next;
}

/** SlotBar shows the weights of a route as a bar whose boundaries can be moved with the mouse and with the keyboard. */
export function SlotBar({ parts, weights, onChange, locked }: { parts: readonly Part[]; weights: readonly number[]; onChange: (w: number[]) => void; locked: boolean }) {
  const bar = useRef<HTMLDivElement>(null);
  const now = useRef(locked);
  now.current = locked; // it may change while someone drags
  const ends = weights.map((_, i) => weights.slice(0, i + 1).reduce((a, b) => a + b, 0));
  const drag = (boundary: number) => (event: PointerEvent) => {
    const element = bar.current;
    if (locked || !element || event.button !== 0) return;
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const box = element.getBoundingClientRect();
    const follow = (e: PointerEvent) => {
      if (now.current) return done();
      const unit = e.shiftKey ? fine : step;
      const to = ((e.clientX - box.left) / box.width) * whole;
      onChange(move(weights, boundary, Math.round(to / unit) * unit));
    };
    const ends = ["pointerup", "pointercancel", "lostpointercapture"] as const;
    const done = () => {
      handle.removeEventListener("pointermove", follow);
      for (const end of ends) handle.removeEventListener(end, done);
    };
    handle.addEventListener("pointermove", follow);
    for (const end of ends) handle.addEventListener(end, done);
  };
  const press = (boundary: number) => (event: KeyboardEvent) => {
    if (locked) return;
    const unit = event.shiftKey ? fine : step;
    const end = ends[boundary] ?? 0;
    const to: Record<string, number> = {
      ArrowLeft: end - unit,
      ArrowDown: end - unit,
      ArrowRight: end + unit,
      ArrowUp: end + unit,
      PageDown: end - 10 * unit,
      PageUp: end + 10 * unit,
      Home: 0,
      End: whole,
    };
    const goal = to[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    onChange(move(weights, boundary, goal));
  };
  return (
    <div class="slots" ref={bar}>
      {parts.map((p, i) => (
        <div key={i} class={`slot ${p.role}`} style={{ width: `${(weights[i] ?? 0) / 100}%` }}>
          <span>
            {p.name} <b>{points(weights[i] ?? 0)}</b> {p.role}
          </span>
        </div>
      ))}
      {parts.slice(0, -1).map((p, i) => (
        <div
          key={i}
          class="handle"
          style={{ left: `${(ends[i] ?? 0) / 100}%` }}
          role="slider"
          tabIndex={locked ? -1 : 0}
          aria-disabled={locked}
          aria-label={`Boundary between ${labelOf(p)} and ${labelOf(parts[i + 1]!)}`}
          aria-orientation="horizontal"
          aria-valuemin={(ends[i - 1] ?? 0) / 100}
          aria-valuemax={(ends[i + 1] ?? whole) / 100}
          aria-valuenow={(ends[i] ?? 0) / 100}
          aria-valuetext={`${labelOf(p)} ${points(weights[i] ?? 0)}, ${labelOf(parts[i + 1]!)} ${points(weights[i + 1] ?? 0)}`}
          onPointerDown={drag(i)}
          onKeyDown={press(i)}
        />
      ))}
    </div>
  );
}
