/** Interval draws a value with its interval. All three are shares of a scale that several intervals have in common, 0 to 1. */
export function Interval({ low, at, high }: { low: number; at: number; high: number }) {
  const w = 110;
  const x = (n: number) => 3 + Math.min(Math.max(n, 0), 1) * (w - 6);
  return (
    <svg width={w} height={14} class="interval" aria-hidden="true">
      <line x1={x(low)} x2={x(high)} y1={7} y2={7} />
      <circle cx={x(at)} cy={7} r={3} />
    </svg>
  );
}
