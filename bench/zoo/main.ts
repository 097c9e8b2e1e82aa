import { readdirSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import picomatch from 'picomatch';
import { patterns, positiveInteger, seedNumber, share } from '../../cli/values.js';
import { writeAtomically } from '../../src/onnx/atomic.js';
import { readModel } from '../../src/onnx/read.js';
import { byteSizeOf, tensorDims, tensorType } from '../../src/onnx/tensors.js';
import { digits, formatCount, formatInteger } from '../../src/report/format.js';
import { defaultThreads } from '../../src/runtime/threads.js';
import { runAll } from './pool.js';
import type { Result, Row, Task } from './result.js';

/*
 * `npm run zoo`: every ONNX file of a folder, stripped of units that were zeroed at random, or its gradients held to a
 * reference, or its weights disturbed and learnt again from the original. A file's inputs and reference are read from the JSON file of its name beside it; weights that lie at
 * `@seeded` are drawn from their seeds.
 */

/** Models of more weights than this run alone. */
const HEAVY_BYTES = 300e6;

/** Heads of the columns. */
const figures = {
  strip: 'zeroed   gone      parameters',
  gradients: 'ok wrong unsure refused not trained',
  distill: '    loss before       after   fell by',
} as const;

interface Options {
  readonly strip?: string;
  readonly gradients?: string;
  readonly distill?: string;
  readonly only?: readonly string[];
  readonly share: number;
  readonly seed: number;
  readonly jobs: number;
  readonly timeout: number;
  readonly differences: boolean;
  readonly json?: string;
}

const program = new Command('zoo')
  .description('Runs over every model of a folder; the exit code is 1 after a wrong result or a crash.')
  .option('--strip <folder>', 'zero units at random, strip, compare')
  .option('--gradients <folder>', 'compare gradients with the reference beside each model')
  .option('--distill <folder>', 'disturb the weights, learn the original again, compare the loss before and after')
  .option('--differences', 'with --gradients: central differences where there is no reference', false)
  .option('--only <patterns>', 'models by name', patterns)
  .option('--share <number>', 'share of the units of every family that is zeroed', share, 0.3)
  .option('--seed <number>', 'start of all random numbers', seedNumber, 7)
  .option('--jobs <number>', 'models at once', positiveInteger, defaultThreads())
  .option('--timeout <seconds>', 'longest time for one model', positiveInteger, 1800)
  .option('--json <file>', 'where the results are written (default: out/zoo-MODE.json)')
  .action(async (options: Options) => {
    const modes = (['strip', 'gradients', 'distill'] as const).filter((mode) => options[mode] !== undefined);
    if (modes.length === 0) throw new InvalidArgumentError('give --strip, --gradients or --distill <folder>');
    for (const mode of modes) if (!(await runMode(mode, options[mode]!, options))) process.exitCode = 1;
  });

await program.parseAsync();

/** @returns whether nothing was wrong and nothing crashed. */
async function runMode(mode: Task['mode'], folder: string, options: Options): Promise<boolean> {
  const root = resolve(folder);
  const matches = options.only ? picomatch([...options.only]) : () => true;
  const names = modelsIn(root).map((path) =>
    relative(root, path)
      .replaceAll('\\', '/')
      .replace(/\.onnx$/, ''),
  );
  const entries = names.filter((name) => matches(name)).map((name) => entryOf(mode, root, name, options));
  const json = options.json ?? `out/zoo-${mode}.json`;
  await mkdir(dirname(resolve(json)), { recursive: true });
  const rows: Row[] = [];
  console.log(headOf(mode));
  await runAll(entries, { jobs: options.jobs, seconds: options.timeout }, async ({ name }, result, seconds) => {
    const row: Row = { name, ...result, seconds };
    rows.push(row);
    console.log(lineOf(row));
    const facts = { mode, folder: root, seed: options.seed, share: options.share, score: scoreOf(rows), models: rows };
    await writeAtomically(json, new TextEncoder().encode(`${JSON.stringify(facts, null, 1)}\n`));
  });
  const score = scoreOf(rows);
  console.log(`\n${describe(mode, rows)}\nWritten: ${json}`);
  return rows.length > 0 && score.WRONG === 0 && score.CRASH === 0;
}

/** @returns the ONNX files of a folder and the folders in it, by name. */
function modelsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return modelsIn(path);
      return entry.name.endsWith('.onnx') ? [path] : [];
    })
    .sort();
}

function entryOf(mode: Task['mode'], root: string, name: string, { share: ratio, seed, differences }: Options) {
  const path = join(root, `${name}.onnx`);
  const task: Task = { mode, path, reference: join(root, `${name}.json`), ratio, seed, differences };
  return { name, task, heavy: weightOf(path) > HEAVY_BYTES };
}

/** @returns the bytes of a model's weights; 0 for a file that cannot be read, which its child will tell. */
function weightOf(path: string): number {
  const { size } = statSync(path);
  if (size > HEAVY_BYTES) return size;
  try {
    const { initializer } = readModel(path).model.graph;
    return initializer.reduce((sum, t) => sum + byteSizeOf(tensorType(t), tensorDims(t)), 0);
  } catch {
    return 0;
  }
}

function headOf(mode: Task['mode']): string {
  return `${'model'.padEnd(40)} ${figures[mode].padEnd(36)}    worst  seconds`;
}

function lineOf(row: Row): string {
  const name = row.name.padEnd(40);
  const seconds = row.seconds.toFixed(1).padStart(8);
  if (!row.units && !row.gradients && !row.distilled)
    return `${name} ${row.outcome}: ${row.why ?? ''} (${row.seconds.toFixed(1)} s)`;
  const worst = (row.worst === undefined ? '—' : digits(row.worst)).padStart(8);
  const verdict = row.outcome === 'ok' ? '' : `  ${row.outcome}: ${row.why ?? ''}`;
  return `${name} ${figuresOf(row).padEnd(36)} ${worst} ${seconds}${verdict}`;
}

function figuresOf({ units, params, gradients, distilled }: Result): string {
  if (distilled) {
    const { before, after } = distilled;
    const fell = `${((1 - after / before) * 100).toFixed(1)} %`;
    return `${digits(before).padStart(15)} ${digits(after).padStart(11)} ${fell.padStart(9)}`;
  }
  if (units) {
    const sizes = params ? `${formatCount(params.before)} → ${formatCount(params.after)}` : '';
    return `${String(units.zeroed).padStart(6)} ${String(units.gone).padStart(6)}  ${sizes.padStart(19)}`;
  }
  const { ok = 0, WRONG = 0, uncertain = 0, refused = 0, 'not trained': untrained = 0 } = gradients ?? {};
  return [ok, WRONG, uncertain, refused, untrained].map((n, i) => String(n).padStart([2, 5, 6, 7, 11][i])).join(' ');
}

function scoreOf(rows: readonly Row[]): Record<Result['outcome'], number> {
  const score = { ok: 0, refused: 0, skipped: 0, WRONG: 0, CRASH: 0 };
  for (const { outcome } of rows) score[outcome]++;
  return score;
}

function describe(mode: Task['mode'], rows: readonly Row[]): string {
  const { ok, refused, skipped, WRONG, CRASH } = scoreOf(rows);
  const sum = (of: (row: Row) => number) => formatInteger(rows.reduce((total, row) => total + of(row), 0));
  const told = {
    strip: () => `${sum((r) => r.units?.gone ?? 0)} of ${sum((r) => r.units?.zeroed ?? 0)} zeroed units gone`,
    gradients: () =>
      `${sum((r) => r.gradients?.ok ?? 0)} gradients right, ${sum((r) => r.gradients?.WRONG ?? 0)} wrong, ${sum((r) => r.gradients?.refused ?? 0)} refused`,
    distill: () => `${ok} models learnt back what noise had taken`,
  };
  return `${rows.length} models: ${ok} right, ${refused} refused, ${skipped} skipped, ${WRONG} WRONG, ${CRASH} CRASHED; ${told[mode]()}.`;
}
