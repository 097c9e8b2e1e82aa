import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeAtomically } from '../src/onnx/atomic.js';
import type { EngineName } from '../src/options.js';
import type { OnEvent } from '../src/report/events.js';
import { formatSeconds } from '../src/report/format.js';
import { showProgress } from '../src/report/progress.js';
import { groupslStrip } from './cases/groupslStrip.js';
import { handKeypoint } from './cases/handKeypoint.js';
import { mnistCntk } from './cases/mnistCntk.js';
import { mnistPaper } from './cases/mnistPaper.js';
import { mnistPrecision } from './cases/mnistPrecision.js';
import { mnistScratch } from './cases/mnistScratch.js';
import { reference } from './cases/reference.js';
import { resnet20Cifar10 } from './cases/resnet20Cifar10.js';

/** A figure held against what was promised. */
export interface Bar {
  readonly what: string;
  /** In words: `at most 0.3 points`; empty for a figure that is only shown. */
  readonly bar: string;
  readonly figure: string;
  readonly ok: boolean;
}

export interface CaseContext {
  readonly seed: number;
  /** Absolute path of something in the folder of models and data. */
  shared(path: string): string;
  /** Absolute path of a file that the case writes. */
  out(name: string): string;
  readonly onEvent: OnEvent;
  say(text: string): void;
  /** Steps of training from scratch, where fewer are wanted. */
  readonly steps?: number;
  readonly engine?: EngineName;
}

export interface CaseResult {
  readonly bars: readonly Bar[];
  /** Whatever else is worth keeping: reports, comparisons. */
  readonly details?: unknown;
}

/** One acceptance case. */
export interface Case {
  readonly name: string;
  readonly title: string;
  /** What it takes from the folder of models and data. */
  readonly needs: readonly string[];
  run(context: CaseContext): Promise<CaseResult>;
}

const cases: readonly Case[] = [
  mnistPaper,
  mnistScratch,
  mnistPrecision,
  handKeypoint,
  mnistCntk,
  resnet20Cifar10,
  groupslStrip,
  reference,
];

export interface CasesOptions {
  readonly only?: readonly string[];
  readonly seed: number;
  readonly out: string;
  readonly steps?: number;
  readonly engine?: EngineName;
}

/** Runs the cases one after the other. @returns the exit code: 1 where a bar was missed */
export async function runCases({ only, seed, out, steps, engine }: CasesOptions): Promise<number> {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const unknown = only?.filter((name) => !cases.some((c) => c.name === name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(`there is no case '${unknown[0]}': there are ${cases.map((c) => c.name).join(', ')}\n`);
    return 2;
  }
  const root = join(projectRoot(), '..', 'shared');
  await mkdir(out, { recursive: true });
  let missed = 0;
  for (const { name, title, needs, run } of cases) {
    if (only && !only.includes(name)) continue;
    const absent = needs.find((path) => !existsSync(join(root, path)));
    if (absent !== undefined) {
      say(`${name}: skipped, there is no ${join(root, absent)}`);
      continue;
    }
    say(`${name}: ${title}`);
    const started = performance.now();
    const progress = showProgress(process.stderr, { plainEvery: 30_000 });
    let result: CaseResult;
    try {
      result = await run({
        seed,
        steps,
        engine,
        shared: (path) => join(root, path),
        out: (file) => resolve(out, file),
        onEvent: progress.onEvent,
        say(text) {
          progress.end();
          say(`  ${text}`);
        },
      });
    } catch (error) {
      result = { bars: [{ what: 'the case runs', bar: 'without an error', figure: String(error), ok: false }] };
    } finally {
      progress.end();
    }
    const seconds = (performance.now() - started) / 1000;
    for (const { what, bar, figure, ok } of result.bars) {
      const verdict = bar === '' ? '      ' : ok ? 'ok    ' : 'FAILED';
      say(`  ${verdict} ${what}: ${figure}${bar && ` (bar: ${bar})`}`);
      if (!ok) missed++;
    }
    say(`  ${formatSeconds(seconds)}`);
    const text = JSON.stringify({ schemaVersion: 1, case: name, title, seed, seconds, ...result }, null, 2);
    await writeAtomically(join(out, `${name}.json`), new TextEncoder().encode(`${text}\n`));
  }
  return missed > 0 ? 1 : 0;
}

/** The folder of package.json, above the sources and above what is built of them. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
