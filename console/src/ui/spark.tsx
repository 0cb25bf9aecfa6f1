import type { Series } from "../api/history";

/** Spark draws a series as a small line without axes. Steps without a value are gaps. */
export function Spark({ of, label, width = 96, height = 20 }: { of: Series | undefined; label: string; width?: number; height?: number }) {
  if (!of || of.length < 2) return <span class="spark" />;
  const most = Math.max(...of.map((v) => v ?? 0), 1e-9);
  const x = (i: number) => (i / (of.length - 1)) * width;
  const y = (v: number) => height - 2 - (v / most) * (height - 4);
  let path = "";
  let pen = false;
  of.forEach((v, i) => {
    if (v == null) {
      pen = false;
      return;
    }
    path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    pen = true;
  });
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={path} />
    </svg>
  );
}
