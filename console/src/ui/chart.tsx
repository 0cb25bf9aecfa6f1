import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, day, digits } from "./format";
import { dark } from "./theme";

/** A line of a chart. */
export interface Line {
  label: string;
  values: (number | null)[];
  /** The number of a colour, from 0. */
  color: number;
  dash?: boolean;
  points?: boolean;
}

/** colorOf returns a colour of the theme. */
export function colorOf(n: number): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--line-${n % 6}`).trim() || "#888";
}

function axis(extra: uPlot.Axis): uPlot.Axis {
  const style = getComputedStyle(document.documentElement);
  return {
    stroke: style.getPropertyValue("--dim").trim(),
    grid: { stroke: style.getPropertyValue("--rule").trim(), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
    ...extra,
  };
}

/** lone reports whether a line has one value only, which is a point. */
function lone(values: ArrayLike<number | null | undefined>): boolean {
  return Array.prototype.filter.call(values, (v) => v != null).length === 1;
}

/** sayLast shows the last values in the legend, unless the pointer selects others. */
function sayLast(u: uPlot): void {
  const [x, ...lines] = u.data;
  let last = x.length - 1;
  while (last > 0 && lines.every((l) => l[last] == null)) last--;
  if (u.cursor.idx == null && last >= 0) u.setLegend({ idx: last }, false);
}

/** times writes the ticks of an axis of time as the rest of the console does: by the clock of 24 hours, or as days. Parts of a second have no text. */
function times(_u: uPlot, ticks: number[], _axis: number, _space: number, step: number): string[] {
  return ticks.map((t) => {
    if (!Number.isInteger(t)) return "";
    const at = new Date(t * 1000);
    if (step >= 86_400) return day(at);
    const text = at.toLocaleTimeString("en-GB");
    return step >= 60 ? text.slice(0, 5) : text;
  });
}

/**
 * Chart draws lines over x: times in seconds since 1970 if time is true, else numbers. Values that are missing are gaps. The
 * canvas has a text for screen readers, and the legend shows the values below the pointer.
 */
export function Chart(props: {
  title: string;
  x: number[];
  lines: Line[];
  time?: boolean;
  log?: boolean;
  height?: number;
  format?: (n: number) => string;
  xFormat?: (n: number) => string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const format = props.format ?? digits;
  const shape = JSON.stringify([props.lines.map((l) => [l.label, l.color, l.dash, l.points]), props.time, props.log, props.height]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const say = (n: number | null | undefined) => (n == null ? "–" : format(n));
    const options: uPlot.Options = {
      width: Math.max(element.clientWidth, 100),
      height: props.height ?? 150,
      scales: { x: { time: props.time ?? false }, y: props.log ? { distr: 3 } : { range: (_u, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
      axes: [
        axis(props.xFormat ? { values: (_u, ticks) => ticks.map(props.xFormat!) } : props.time ? { values: times, space: 78 } : {}),
        axis({ size: 62, values: (_u, ticks) => ticks.map((n) => (n == null ? "" : format(n))) }),
      ],
      series: [
        { value: (_u, n) => (n == null ? "–" : props.time ? clock(new Date(n * 1000).toISOString()) : (props.xFormat ?? digits)(n)), label: props.time ? "time" : "x" },
        ...props.lines.map((l) => ({
          label: l.label,
          stroke: colorOf(l.color),
          width: l.points ? 0 : 1.5,
          dash: l.dash ? [5, 4] : undefined,
          points: { show: (u: uPlot, i: number) => l.points || lone(u.data[i]!), size: 6 },
          value: (_u: uPlot, n: number | null) => say(n),
        })),
      ],
      cursor: { y: false },
      legend: { live: true },
      hooks: { ready: [sayLast], setCursor: [sayLast] },
    };
    const u = new uPlot(options, dataOf(props), element);
    plot.current = u;
    const size = new ResizeObserver(() => u.setSize({ width: Math.max(element.clientWidth, 100), height: props.height ?? 150 }));
    size.observe(element);
    return () => {
      size.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape, dark.value]);
  useEffect(() => {
    plot.current?.setData(dataOf(props));
    if (plot.current) sayLast(plot.current);
  }, [props.x, props.lines]);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={box} role="img" aria-label={`Chart: ${props.title}. ${props.lines.map((l) => `${l.label}: ${lastOf(l.values, format)}`).join(", ")}`} />
    </figure>
  );
}

/** dataOf returns what is drawn. One time alone is in the middle of a minute. */
function dataOf(p: { x: number[]; lines: Line[]; time?: boolean }): uPlot.AlignedData {
  const [at] = p.x;
  if (p.time && p.x.length === 1 && at !== undefined) return [[at - 30, at, at + 30], ...p.lines.map((l) => [null, l.values[0] ?? null, null])];
  return [p.x, ...p.lines.map((l) => l.values)];
}

function lastOf(values: (number | null)[], format: (n: number) => string): string {
  const v = values.findLast((n) => n != null);
  return v == null ? "no value" : format(v);
}
