import type { Schemas } from "../api/client";
import { count, digits, none, percent } from "../ui/format";

type Distribution = Schemas["DriftDistribution"];

const width = 640;
const height = 120;

/** shares returns the share of the rows in each bin. */
function shares(bins: readonly number[]): number[] {
  const all = bins.reduce((a, b) => a + b, 0);
  return bins.map((n) => (all ? n / all : 0));
}

/** bounds says which values a bin has. */
function bounds(d: Distribution, i: number): string {
  if (d.categories?.length) return d.categories[i] ?? none;
  if (d.values?.length) return digits(d.values[i]);
  const from = i > 0 ? d.edges[i - 1] : undefined;
  const to = d.edges[i];
  if (from === undefined) return to === undefined ? "all values" : `up to ${digits(to)}`;
  return to === undefined ? `above ${digits(from)}` : `${digits(from)} to ${digits(to)}`;
}

/** short cuts a name to what fits under a bar. */
function short(name: string | undefined): string {
  const most = 14;
  return name === undefined ? none : name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** Overlay draws the rows of a feature by bin: the reference as bars behind those of the last window. Bins have the same width. */
export function Overlay({ of }: { of: Distribution }) {
  const reference = shares(of.reference.bins);
  const window = of.window ? shares(of.window.bins) : undefined;
  const most = Math.max(...reference, ...(window ?? []), 1e-9);
  const step = width / Math.max(reference.length, 1);
  const y = (share: number) => height - (share / most) * (height - 4);
  const marks = [0, Math.floor(reference.length / 4), Math.floor(reference.length / 2), Math.floor((reference.length * 3) / 4), reference.length - 1].filter((v, i, all) => all.indexOf(v) === i);
  const rest = (r: Schemas["DriftRows"]) =>
    of.categories?.length
      ? `${count(r.missing)} missing, ${count(r.unseen)} with a value that the reference does not have`
      : `${count(r.missing)} missing, ${count(r.inf)} infinite, ${count(r.outside)} outside the reference’s range`;
  return (
    <figure class="overlay">
      <figcaption>
        {of.feature}: share of the rows by bin. <span class="key reference" /> reference <span class="key window" /> last window
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height + 18}`} role="img" aria-label={`Distribution of ${of.feature}: reference and last window, ${reference.length} bins`}>
        {reference.map((share, i) => (
          <g key={i}>
            <title>{`${bounds(of, i)}: reference ${percent(share)}, window ${window ? percent(window[i]) : none}`}</title>
            <rect class="reference" x={i * step + 1} width={Math.max(step - 2, 1)} y={y(share)} height={height - y(share)} />
            {window && <rect class="window" x={i * step + step * 0.25} width={Math.max(step * 0.5, 1)} y={y(window[i] ?? 0)} height={height - y(window[i] ?? 0)} />}
          </g>
        ))}
        {marks.map((i) => (
          <text key={i} x={Math.min(Math.max((i + 0.5) * step, 30), width - 30)} y={height + 13}>
            {of.categories?.length ? short(of.categories[i]) : of.values?.length ? digits(of.values[i]) : i === 0 ? digits(of.min) : i === reference.length - 1 ? digits(of.max) : digits(of.edges[i - 1])}
          </text>
        ))}
      </svg>
      <p class="dim small">
        Reference: {rest(of.reference)}. {of.window ? `Window: ${rest(of.window)}.` : "No window has been judged since the watch began."}
      </p>
    </figure>
  );
}
