import { CgesError } from '../errors.js';
import type { OpenOptions } from './dataset.js';

/** What is known of a table's columns. */
export interface Columns {
  /** From the header, else the numbers from 0. */
  readonly names: readonly string[];
  readonly header: boolean;
  /** The line of the first sample, from 1. */
  readonly firstRow: number;
  /** Columns that are kept as text: the cells hold places in `values`. */
  readonly texts: ReadonlyMap<number, { readonly codes: Map<string, number>; readonly values: string[] }>;
}

export interface Table {
  readonly columns: Columns;
  readonly rows: number;
  /** All cells, row by row. */
  readonly data: Float32Array;
}

const labelName = /^(label|labels|class|classes|class_?id|target|targets|y|category|species)$/i;
const indexName = /^(unnamed: ?0|id|index|idx)?$/i;

/** @returns whether the first row names the columns: it has text where numbers follow, or text only. */
export function headerOf(rows: readonly (readonly string[])[]): boolean {
  const [first, second] = rows;
  const number = (cell: string) => cell !== '' && Number.isFinite(Number(cell));
  if (first.length > 2 && first.every((cell, c) => cell === String(c))) return true;
  if (first.some(number)) return false;
  return (
    second === undefined || first.some((_, c) => number(second[c] ?? '')) || first.some((cell) => labelName.test(cell))
  );
}

/** @returns columns that hold text in most rows. */
export function textColumns(rows: readonly (readonly string[])[], width: number): number[] {
  const isText = (cell: string | undefined) =>
    cell !== undefined && cell !== '' && !/^[+-]?(nan|inf|infinity)$/i.test(cell) && Number.isNaN(Number(cell));
  return Array.from({ length: width }, (_, c) => c).filter(
    (c) => rows.filter((r) => isText(r[c])).length * 2 > rows.length,
  );
}

/** @returns the place of the column that an option names. */
export function columnAt(wanted: string | number, names: readonly string[], header: boolean, file: string): number {
  if (header) {
    const named = names.indexOf(String(wanted));
    if (named >= 0) return named;
  }
  const place = Number(wanted);
  const column = place < 0 ? names.length + place : place;
  if (String(wanted).trim() !== '' && Number.isInteger(column) && column >= 0 && column < names.length) return column;
  throw new CgesError('DATA_LABELS', `there is no column "${wanted}"`, {
    file,
    hint: `--label-column takes ${header ? `a name (${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}) or ` : ''}a number from 0 to ${names.length - 1}`,
  });
}

/** Finds the column of the label, and columns that only count the rows. */
export function chooseLabel(
  table: Table,
  options: OpenOptions,
  file: string,
): { label?: number; ignored: readonly number[]; choices: readonly string[] } {
  const { names, header, texts } = table.columns;
  const said = (c: number) => (header ? `"${names[c]}"` : `${c} (of 0…${names.length - 1})`);
  const ignored = indexColumn(table) ? [0] : [];
  const choices = ignored.map((c) => `column ${said(c)} counts the rows: left out`);
  if (options.labelColumn !== undefined) {
    const label = columnAt(options.labelColumn, names, header, file);
    return { label, ignored: ignored.filter((c) => c !== label), choices: label === 0 ? [] : choices };
  }
  const open = names.map((_, c) => c).filter((c) => !ignored.includes(c));
  const take = (label: number, why: string) => ({
    label,
    ignored,
    choices: [...choices, `column ${said(label)} is taken for the label: ${why}`],
  });

  const byName = open.filter((c) => header && labelName.test(names[c]));
  if (byName.length === 1) return take(byName[0], 'its name says so');
  const byText = open.filter((c) => texts.has(c));
  if (byText.length === 1) return take(byText[0], 'it is the only one that holds text');
  if (options.features === open.length)
    return {
      ignored,
      choices: [...choices, `all ${open.length} columns are taken for features: the model takes as many`],
    };

  const [first, last] = [classLike(table, open[0]), classLike(table, open[open.length - 1])];
  const score = (found: ReturnType<typeof classLike>) =>
    found
      ? 1 + Number(found.dense) + 2 * Number(options.classes !== undefined && found.classes === options.classes)
      : 0;
  if (open.length > 1 && (first || last)) {
    const chosen = score(first) > score(last) ? open[0] : open[open.length - 1];
    return take(chosen, `it holds ${(chosen === open[0] ? first : last)!.classes} whole numbers from 0 on`);
  }
  if (open.length > 1)
    return take(open[open.length - 1], 'no column looks like a class, and numbers to predict usually come last');
  return { ignored, choices };
}

/** Whether the first column only counts the rows. */
function indexColumn({ columns, rows, data }: Table): boolean {
  if (!columns.header || !indexName.test(columns.names[0]) || columns.texts.has(0) || rows < 2) return false;
  const width = columns.names.length;
  for (let row = 1; row < rows; row++) if (data[row * width] !== data[0] + row) return false;
  return true;
}

/** A column of few whole numbers: how many, and whether every one from 0 on occurs. */
function classLike({ columns, rows, data }: Table, column: number): { classes: number; dense: boolean } | undefined {
  const width = columns.names.length;
  const seen = new Set<number>();
  for (let row = 0; row < rows; row++) {
    const value = data[row * width + column];
    if (!(value >= 0 && Number.isInteger(value))) return undefined;
    seen.add(value);
    if (seen.size > 1000 || (seen.size > 20 && seen.size * 2 > rows)) return undefined;
  }
  if (seen.size < 2) return undefined;
  const most = Math.max(...seen);
  const dense = most + 1 === seen.size;
  // A class comes more than once; in a table of a few rows, at least none is left out.
  const likely = seen.size * 2 <= rows ? most < 2 * seen.size + 8 : dense;
  return likely ? { classes: most + 1, dense } : undefined;
}
