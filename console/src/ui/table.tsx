import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** A column of a table. Numbers are aligned to the right. */
export interface Column<T> {
  key: string;
  title: string;
  number?: boolean;
  /** Hidden on narrow pages. */
  wide?: boolean;
  /** What rows are sorted by. A column without it cannot be sorted. */
  sort?: (row: T) => string | number;
  cell: (row: T) => ComponentChildren;
}

export interface Sorting {
  key: string;
  down: boolean;
}

const rowHeight = 34;
const spare = 8;

/** useVisible returns which rows a scrolled box shows. */
function useVisible(box: RefObject<HTMLDivElement | null>, rows: number): [from: number, to: number] {
  const [range, setRange] = useState<[number, number]>([0, 40]);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const from = Math.max(0, Math.floor(element.scrollTop / rowHeight) - spare);
      const to = Math.min(rows, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + spare);
      setRange((was) => (was[0] === from && was[1] === to ? was : [from, to]));
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const size = new ResizeObserver(look);
    size.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      size.disconnect();
    };
  }, [rows]);
  return [range[0], Math.min(range[1], rows)];
}

/** sorted returns rows in the order of a column. Rows that are equal keep their order. */
export function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], by: Sorting): readonly T[] {
  const of = columns.find((c) => c.key === by.key)?.sort;
  if (!of) return rows;
  const keyed = rows.map((row) => ({ row, key: of(row) }));
  const order = new Intl.Collator("en", { numeric: true });
  keyed.sort((a, b) => {
    const less = typeof a.key === "number" && typeof b.key === "number" ? a.key - b.key : order.compare(String(a.key), String(b.key));
    return by.down ? -less : less;
  });
  return keyed.map((k) => k.row);
}

/** Table shows rows, of which only those in sight are in the document. */
export function Table<T>(props: {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  sorting: Sorting;
  onSort: (s: Sorting) => void;
  onVisible?: (rows: readonly T[]) => void;
  /** A change of it brings the table back to its top, for example another search. */
  top?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const { columns, rows, sorting } = props;
  useLayoutEffect(() => box.current?.scrollTo(0, 0), [props.top, sorting.key, sorting.down]);
  const [from, to] = useVisible(box, rows.length);
  const shown = rows.slice(from, to);
  const names = shown.map(props.keyOf).join("\n");
  useLayoutEffect(() => props.onVisible?.(shown), [names]);
  return (
    <div class="scroll" ref={box} tabIndex={0} role="region" aria-label={props.label}>
      <table class="grid" aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {columns.map((c) => (
              <Heading key={c.key} column={c} sorting={sorting} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <Space rows={from} columns={columns.length} />}
          {shown.map((row, i) => (
            <tr key={props.keyOf(row)} aria-rowindex={from + i + 2}>
              {columns.map((c) => (
                <td key={c.key} class={classOf(c)}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {to < rows.length && <Space rows={rows.length - to} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function classOf(c: { number?: boolean; wide?: boolean }): string {
  return `${c.number ? "n" : ""}${c.wide ? " wide" : ""}`;
}

function Heading<T>({ column, sorting, onSort }: { column: Column<T>; sorting: Sorting; onSort: (s: Sorting) => void }) {
  const mine = sorting.key === column.key;
  const order = !mine ? "none" : sorting.down ? "descending" : "ascending";
  if (!column.sort) return <th class={classOf(column)}>{column.title}</th>;
  return (
    <th class={classOf(column)} aria-sort={order}>
      <button type="button" onClick={() => onSort({ key: column.key, down: mine ? !sorting.down : !!column.number })}>
        {column.title}
        <span aria-hidden="true">{mine ? (sorting.down ? " ▾" : " ▴") : ""}</span>
      </button>
    </th>
  );
}

/** Space takes the place of rows that are not in sight. */
function Space({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr aria-hidden="true" class="space">
      <td colSpan={columns} style={{ height: `${rows * rowHeight}px` }} />
    </tr>
  );
}
