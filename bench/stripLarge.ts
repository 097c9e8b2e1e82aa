import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vgg } from '../models/index.js';
import { readModel } from '../src/onnx/read.js';
import { encodeModel, writeModel } from '../src/onnx/write.js';
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

/** Strips a model of 100 MB in a process of its own, so that its peak memory is that of this work. */
export function measureStrip(): Promise<StripFigures> {
  const child = fork(fileURLToPath(import.meta.url), ['measure'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    child.once('message', (figures: StripFigures) => resolve(figures));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the strip of the large model ended with code ${code}`)));
  });
}

/** Makes the model in the folder; its memory counts as well, so it is made before and in another process. */
async function make(path: string): Promise<void> {
  const model = vgg(net);
  const file = { path: '', folder: '.', bytes: new Uint8Array(), model };
  const channels = channelsOf(await analyse(file));
  const { families } = unitsOf(channels);
  await writeModel(
    zeroUnits(channels, families, ({ units }, index) => Random.stream(7, units[index]).uniform() < DEAD),
    path,
  );
}

async function measure(folder: string): Promise<StripFigures> {
  const [input, output] = [join(folder, 'in.onnx'), join(folder, 'out.onnx')];
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
  await proveEqual(file.model, result.model, runs);
  lap();
  const [read, analysing, stripping, write, proof] = times.slice(1).map((t, i) => (t - times[i]) / 1000);
  return {
    bytes: { before: file.bytes.length || encodeModel(file.model).length, after: bytes },
    units: { before: result.unitsBefore, after: result.unitsAfter },
    seconds: { read, analyse: analysing, strip: stripping, write, proof, total: read + analysing + stripping + write },
    peakBytes,
  };
}

/** Runs this file with another task, and waits for it. */
function task(...args: string[]): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), args, { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${args[0]} ended with code ${code}`))));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, path] = process.argv.slice(2);
  if (what === 'make') await make(path);
  else if (what === 'measure') {
    const folder = await mkdtemp(join(tmpdir(), 'cges-bench-'));
    try {
      await task('make', join(folder, 'in.onnx'));
      const figures = await measure(folder);
      process.send?.(figures);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    process.disconnect?.();
  }
}
