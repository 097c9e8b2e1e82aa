import { fork } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vgg } from '../models/index.js';
import { readModel } from '../src/onnx/read.js';
import { writeModel } from '../src/onnx/write.js';
import { proveEqual } from '../src/prune/prove.js';
import { channelsOf, strip } from '../src/prune/strip.js';
import { unitsOf } from '../src/prune/units.js';
import { zeroUnits } from '../src/prune/zero.js';
import { analyse } from '../src/shape/analyse.js';
import { makeFeeds } from '../src/shape/feeds.js';
import { Random } from '../src/tensor/random.js';

/** Times in seconds, sizes in bytes. */
export interface StripFigures {
  readonly bytes: { readonly before: number; readonly after: number };
  readonly units: { readonly before: number; readonly after: number };
  /** Parsing; finding shapes by running; cutting, with its own proof; writing. */
  readonly seconds: {
    readonly read: number;
    readonly analyse: number;
    readonly strip: number;
    readonly write: number;
    /** The proof alone, once more: a part of `strip`. */
    readonly proof: number;
    readonly total: number;
    /** Reading the file and writing it again, in a process of its own. */
    readonly copy: number;
  };
  readonly peakBytes: number;
}

/** A VGG-16 for 64×64 pictures with a wide dense layer: 25 million weights. */
const net = {
  input: [3, 64, 64],
  stages: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
  dense: 5000,
} as const;
/** Share of the units that are dead. */
const DEAD = 0.5;

/**
 * Strips a model in a process of its own, so that its peak memory is that of this work.
 * @param model a file whose units are dead in part; absent: one of 100 MB that is made
 */
export async function measureStrip(model?: string): Promise<StripFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'cges-bench-'));
  const input = join(folder, 'in.onnx');
  try {
    await answerOf('make', input, model ?? '');
    const copy = await answerOf<number>('copy', input);
    const figures = await answerOf<Omit<StripFigures, 'seconds'> & { seconds: object }>('measure', input);
    return { ...figures, seconds: { ...figures.seconds, copy } } as StripFigures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs this file with a task. @returns what it answers. */
function answerOf<T>(...args: string[]): Promise<T> {
  const child = fork(fileURLToPath(import.meta.url), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    child.once('message', (answer: T) => resolve(answer));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with code ${code}`)));
  });
}

/** Makes the model, or takes the given one, and zeroes units of it. */
async function make(path: string, given: string): Promise<void> {
  const file = given ? readModel(given) : { path: '', folder: '.', bytes: new Uint8Array(), model: vgg(net) };
  const channels = channelsOf(await analyse(file));
  const { families } = unitsOf(channels);
  await writeModel(
    zeroUnits(channels, families, ({ units }, index) => Random.stream(7, units[index]).uniform() < DEAD),
    path,
    { folder: file.folder },
  );
}

/** @returns the seconds that reading and writing a file take. */
async function copy(path: string): Promise<number> {
  const started = performance.now();
  await writeModel(readModel(path).model, `${path}.copy`);
  return (performance.now() - started) / 1000;
}

async function measure(input: string) {
  const output = `${input}.out`;
  const times: number[] = [performance.now()];
  const lap = () => times.push(performance.now());
  const file = readModel(input);
  lap();
  const analysis = await analyse(file);
  lap();
  const result = await strip(file, analysis);
  lap();
  const { bytes } = await writeModel(result.model, output);
  lap();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const { inputs, sizes } = analysis;
  const runs = [1, 3].map((batch, i) => makeFeeds(inputs, batch, sizes, 2 + i));
  await proveEqual(file.model, result.model, runs, { file: input, stored: true });
  lap();
  const [read, analysing, stripping, write, proof] = times.slice(1).map((t, i) => (t - times[i]) / 1000);
  return {
    bytes: { before: statSync(input).size, after: bytes },
    units: { before: result.unitsBefore, after: result.unitsAfter },
    seconds: { read, analyse: analysing, strip: stripping, write, proof, total: read + analysing + stripping + write },
    peakBytes,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, path, given = ''] = process.argv.slice(2);
  const tasks: Record<string, () => Promise<unknown>> = {
    make: () => make(path, given),
    copy: () => copy(path),
    measure: () => measure(path),
  };
  const answer = await tasks[what]();
  process.send?.(answer ?? null);
  process.disconnect?.();
}
