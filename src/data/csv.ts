import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { CsvError, parse } from 'csv-parse';
import { CgesError } from '../errors.js';
import { type Columns, chooseLabel, columnAt, headerOf, type Table, textColumns } from './csv-columns.js';
import type { DataFound, Dataset, OpenOptions, Target } from './dataset.js';
import { narrow } from './elements.js';
import { memorySource } from './source.js';

/** Rows that are looked at before the others are read: header, separator, and columns of text show there. */
const LOOK = 1000;

/** @returns whether a file calls itself CSV. */
export function isCsvName(file: string): boolean {
  return /\.(csv|tsv)(\.gz)?$/i.test(file);
}

/** Opens a folder's CSV files: one, or train and test. */
export async function openCsvFolder(
  folder: string,
  files: readonly string[],
  options: OpenOptions,
): Promise<DataFound> {
  const tables = files.filter((f) => isCsvName(f) && !isNames(f, files));
  const tests = tables.filter((f) => /^(test|val|valid|validation)\b|[-_.](test|val)[-_.]/i.test(f));
  const trains = tables.filter((f) => !tests.includes(f));
  if (trains.length !== 1 || tests.length > 1)
    throw new CgesError('DATA_INVALID', `which one is meant? There are ${tables.join(', ')}`, {
      file: folder,
      hint: 'give the file itself, or name the files train.csv and test.csv',
    });
  const found = await openCsvFile(join(folder, trains[0]), options);
  if (!tests[0]) return found;
  const train = found.train;
  const names = train.target?.kind === 'class' ? train.target.names : undefined;
  const test = await openCsvFile(join(folder, tests[0]), { ...options, names });
  return { ...found, test: test.train };
}

/** Opens a CSV file: one sample a row, all columns but the label's are its features. */
export async function openCsvFile(file: string, options: OpenOptions): Promise<DataFound> {
  const choices: string[] = [];
  const table = await readTable(file, options, choices);
  const chosen = chooseLabel(table, options, file);
  choices.push(...chosen.choices);
  const { columns, rows } = table;
  const features = columns.names.map((_, c) => c).filter((c) => c !== chosen.label && !chosen.ignored.includes(c));
  if (features.length === 0)
    throw new CgesError('DATA_INVALID', 'no column is left for the features', {
      file,
      hint: 'name the label with --label-column',
    });
  const stray = features.find((c) => columns.texts.has(c));
  if (stray !== undefined)
    throw new CgesError(
      'DATA_INVALID',
      `row ${columns.firstRow}, column ${columnName(columns, stray)}: "${columns.texts.get(stray)?.values[0]}" is not a number`,
      { file, hint: 'leave the column out, turn it into numbers, or name it with --label-column if it is the label' },
    );
  const data = narrow(pick(table, features));
  const target = chosen.label === undefined ? {} : await targetOfColumn(file, table, chosen.label, options, choices);
  const dataset: Dataset = {
    format: 'csv',
    path: file,
    length: rows,
    sample: [
      { kind: 'tensor', name: 'features', shape: [features.length], source: memorySource(data, rows, features.length) },
    ],
    ...target,
  };
  return { train: dataset, choices, warnings: [] };
}

async function readTable(file: string, options: OpenOptions, choices: string[]): Promise<Table> {
  const sample: string[][] = [];
  const delimiter = await delimiterOf(file);
  let columns: Columns | undefined;
  let data = new Float32Array(0);
  let rows = 0;
  const begin = (): Columns => {
    if (sample.length === 0)
      throw new CgesError('DATA_INVALID', 'the CSV file is empty', { file, hint: 'give a file with one sample a row' });
    const header = headerOf(sample);
    const body = header ? sample.slice(1) : sample;
    if (body.length === 0)
      throw new CgesError('DATA_INVALID', 'the CSV file has a header and no rows', {
        file,
        hint: 'give a file with one sample a row',
      });
    const names = header ? sample[0] : sample[0].map((_, c) => String(c));
    if (header) choices.push(`the first row of ${basename(file)} names its columns`);
    const texts = new Map(
      textColumns(body, names.length).map((c) => [c, { codes: new Map<string, number>(), values: [] as string[] }]),
    );
    if (options.labelColumn !== undefined) {
      const label = columnAt(options.labelColumn, names, header, file);
      if (!texts.has(label)) texts.set(label, { codes: new Map(), values: [] });
    }
    return { names, header, firstRow: header ? 2 : 1, texts };
  };
  const add = (cells: readonly string[]) => {
    columns ??= begin();
    const { names, texts, firstRow } = columns;
    const width = names.length;
    const row = rows + firstRow;
    if (cells.length !== width)
      throw new CgesError('DATA_INVALID', `row ${row} has ${cells.length} cells, the first one has ${width}`, {
        file,
        hint: 'every row needs the same number of cells; cells that hold the separator need quotes',
      });
    if ((rows + 1) * width > data.length) data = grown(data, Math.max(1024 * width, (rows + 1) * width * 2));
    for (let c = 0; c < width; c++) {
      const cell = cells[c];
      const text = texts.get(c);
      if (text) {
        if (cell === '') refuse(cell, row, columnName(columns, c), file);
        let code = text.codes.get(cell);
        if (code === undefined) {
          code = text.values.push(cell) - 1;
          text.codes.set(cell, code);
        }
        data[rows * width + c] = code;
        continue;
      }
      const value = numberOf(cell);
      if (value - value !== 0) refuse(cell, row, columnName(columns, c), file);
      data[rows * width + c] = value;
    }
    rows++;
  };
  const flush = () => {
    columns = begin();
    for (const cells of columns.header ? sample.slice(1) : sample) add(cells);
    sample.length = 0;
  };
  try {
    for await (const cells of records(file, delimiter)) {
      if (columns) add(cells);
      else if (sample.push(cells) === LOOK) flush();
    }
  } catch (error) {
    if (!(
      error instanceof CsvError ||
      (error instanceof Error && /^(unexpected end of file|incorrect|invalid)/.test(error.message))
    ))
      throw error;
    throw new CgesError('DATA_INVALID', `the CSV file cannot be read: ${error.message}`, {
      file,
      hint: 'check its quotes',
      cause: error,
    });
  }
  if (!columns) flush();
  return { columns: columns!, rows, data: data.subarray(0, rows * columns!.names.length) };
}

async function* records(file: string, delimiter: string): AsyncGenerator<string[]> {
  const stream = createReadStream(file);
  const bytes = file.toLowerCase().endsWith('.gz') ? stream.pipe(createGunzip()) : stream;
  const parser = bytes.pipe(
    parse({ bom: true, delimiter, trim: true, skip_empty_lines: true, relax_column_count: true }),
  );
  stream.on('error', (error) => parser.destroy(error));
  bytes.on('error', (error: Error) => parser.destroy(error));
  try {
    for await (const record of parser) yield record as string[];
  } finally {
    stream.destroy();
  }
}

async function delimiterOf(file: string): Promise<string> {
  for await (const chunk of file.toLowerCase().endsWith('.gz')
    ? createReadStream(file).pipe(createGunzip())
    : createReadStream(file)) {
    const line = String(chunk).split(/\r?\n/, 1)[0];
    const count = (d: string) => line.split(d).length;
    return [',', ';', '\t'].reduce((best, d) => (count(d) > count(best) ? d : best));
  }
  return ',';
}

/** @returns the number in a cell; NaN for what is none, an empty cell included. */
function numberOf(cell: string): number {
  return cell === '' ? Number.NaN : Math.fround(Number(cell));
}

function refuse(cell: string, row: number, column: string, file: string): never {
  const missing =
    cell === '' || /^[+-]?(nan|na|n\/a|null|none|inf|infinity)$/i.test(cell) || Number.isFinite(Number(cell));
  throw new CgesError(
    'DATA_INVALID',
    missing
      ? `row ${row}, column ${column} holds ${cell === '' ? 'nothing' : cell}`
      : `row ${row}, column ${column}: "${cell}" is not a number`,
    {
      file,
      hint: missing
        ? 'fill in or leave out rows with missing values'
        : 'leave out what is no number; a label of text needs --label-column',
    },
  );
}

async function targetOfColumn(
  file: string,
  { columns, rows, data }: Table,
  label: number,
  options: OpenOptions,
  choices: string[],
): Promise<{ target: Target; labels?: Int32Array; values?: Dataset['values'] }> {
  const width = columns.names.length;
  const text = columns.texts.get(label);
  const value = (row: number) => (text ? numberOf(text.values[data[row * width + label]]) : data[row * width + label]);
  const numeric = !text || text.values.every((cell) => Number.isFinite(numberOf(cell)));
  if (numeric && !options.names) {
    const values = Float32Array.from({ length: rows }, (_, row) => value(row));
    if (options.target !== 'values' && isClasses(values, options)) {
      const classes = values.reduce((a, b) => Math.max(a, b), 0) + 1;
      return {
        target: { kind: 'class', classes, names: await readNames(file, classes) },
        labels: Int32Array.from(values),
      };
    }
    if (options.target !== 'class' && !isSigned(values, options)) {
      choices.push(`column ${columnName(columns, label)} is a number to predict: its values are no class numbers`);
      return { target: { kind: 'values', shape: [1] }, values: memorySource(values, rows, 1) };
    }
  }
  if (!text && !options.names) {
    const names = [...new Set(Float32Array.from({ length: rows }, (_, row) => value(row)))].sort((a, b) => a - b);
    const labels = Int32Array.from({ length: rows }, (_, row) => names.indexOf(value(row)));
    choices.push(
      `the labels are numbered in ascending order: ${names
        .slice(0, 12)
        .map((n, i) => `${n} = ${i}`)
        .join(', ')}`,
    );
    return { target: { kind: 'class', classes: names.length, names: names.map(String) }, labels };
  }
  const cell = (row: number) => (text ? text.values[data[row * width + label]] : String(value(row)));
  const names = options.names ?? [...(text?.values ?? [])].sort();
  if (numeric && options.names && options.names.length > 0 && !names.includes(cell(0))) {
    const labels = Int32Array.from({ length: rows }, (_, row) => value(row));
    return { target: { kind: 'class', classes: names.length, names }, labels };
  }
  const place = new Map(names.map((name, i) => [name, i]));
  const labels = Int32Array.from({ length: rows }, (_, row) => {
    const found = place.get(cell(row));
    if (found === undefined)
      throw new CgesError(
        'DATA_LABELS',
        `row ${row + columns.firstRow} has the label "${cell(row)}", which the training data does not have`,
        { file },
      );
    return found;
  });
  if (!options.names)
    choices.push(
      `the labels are numbered in sorted order: ${names
        .slice(0, 12)
        .map((n, i) => `${n} = ${i}`)
        .join(', ')}${names.length > 12 ? ', …' : ''}`,
    );
  return { target: { kind: 'class', classes: names.length, names }, labels };
}

/** Whole numbers from 0 on, few enough to be classes; what a single output is to predict has two of them at most. */
function isClasses(values: Float32Array, options: OpenOptions): boolean {
  const seen = new Set(values);
  let most = 0;
  for (const v of seen) {
    if (!(v >= 0 && Number.isInteger(v))) return false;
    most = Math.max(most, v);
  }
  if (options.target === 'class') return true;
  if (options.classes === 1) return most <= 1;
  return (options.classes !== undefined && most < options.classes) || most < 2 * seen.size + 8;
}

/** Class numbers below 0, like −1 and 1: as many of them as the model has classes. */
function isSigned(values: Float32Array, { classes = 2, target }: OpenOptions): boolean {
  const seen = [...new Set(values)];
  return (
    target !== 'values' &&
    seen.length === Math.max(2, classes) &&
    seen.every(Number.isInteger) &&
    seen.some((v) => v < 0)
  );
}

/** Class names, one a line, where a file beside the table has them: `x_labels.csv` for `x.csv`. */
async function readNames(file: string, classes: number): Promise<readonly string[] | undefined> {
  const siblings = await readdir(dirname(file));
  const base = basename(file).replace(/\.(csv|tsv)(\.gz)?$/i, '');
  const found = siblings.find((f) => [`${base}_labels.csv`, `${base}_labels.txt`, `${base}-labels.txt`].includes(f));
  if (!found) return undefined;
  const names = (await readFile(join(dirname(file), found), 'utf8'))
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((l) => l.trim())
    .filter(Boolean);
  return names.length >= classes ? names.slice(0, classes) : undefined;
}

function isNames(file: string, files: readonly string[]): boolean {
  const base = /^(.*)[-_]labels\.(csv|txt)$/i.exec(file)?.[1];
  return base !== undefined && files.some((f) => f !== file && isCsvName(f) && f.startsWith(`${base}.`));
}

function pick({ columns, rows, data }: Table, features: readonly number[]): Float32Array {
  const width = columns.names.length;
  const out = new Float32Array(rows * features.length);
  for (let row = 0, p = 0; row < rows; row++) for (const c of features) out[p++] = data[row * width + c];
  return out;
}

function grown(data: Float32Array, length: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(length);
  out.set(data);
  return out;
}

function columnName({ names, header }: Columns, column: number): string {
  return header ? `"${names[column]}"` : String(column);
}
