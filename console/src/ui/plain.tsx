import type { ComponentChildren } from "preact";

/** A column of a PlainTable. Numbers are aligned to the right, and text that wraps takes several lines. */
export interface PlainColumn<T> {
  title?: string;
  number?: boolean;
  wrap?: boolean;
  cell: (row: T) => ComponentChildren;
}

/** PlainTable shows a short list as a whole, in a box that scrolls sideways on narrow pages. It has a head if a column has a title. */
export function PlainTable<T>(props: {
  label: string;
  columns: readonly PlainColumn<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string | number;
  chosen?: (row: T) => boolean;
  /** A class for the box, such as that of a list with a max height. */
  box?: string;
}) {
  const { columns, chosen } = props;
  const classOf = (c: PlainColumn<T>) => (c.number ? "n" : c.wrap ? "wrap" : undefined);
  return (
    <div class={`scroll-x ${props.box ?? ""}`} tabIndex={0} role="region" aria-label={props.label}>
      <table class="plain">
        {columns.some((c) => c.title) && (
          <thead>
            <tr>
              {columns.map((c, i) => (c.title ? <th key={i} class={c.number ? "n" : undefined}>{c.title}</th> : <td key={i} />))}
            </tr>
          </thead>
        )}
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.keyOf(row)} class={chosen?.(row) ? "chosen" : undefined} aria-current={chosen?.(row) ? "true" : undefined}>
              {columns.map((c, i) => (
                <td key={i} class={classOf(c)}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
