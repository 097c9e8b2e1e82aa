import { existsSync } from 'node:fs';
import { CgesError } from '../../src/errors.js';
import { type OnnxFile, readModel } from '../../src/onnx/read.js';
import { type Analysis, analyse } from '../../src/shape/analyse.js';
import { makeFeeds } from '../../src/shape/feeds.js';
import { type TrainingGraph, trainingGraph } from '../../src/shape/normalise.js';
import { float32Feeds } from '../../src/shape/training-model.js';
import { Random } from '../../src/tensor/random.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import type { Matched } from '../../src/train/loss.js';
import { matchedOutputs } from '../../src/train/match.js';
import { type Network, openNetwork } from '../../src/train/network.js';
import type { OptimizerOptions } from '../../src/train/optimizer.js';
import { feedNames, targetFeed } from '../../src/train/step.js';
import { openTeacher } from '../../src/train/teacher.js';
import { withWeights } from '../../src/train/weights.js';
import { readReference, type Reference, referenceInputs, withSeededWeights } from '../../src/validate/reference.js';
import type { Result, Task } from './result.js';

/** Noise on every weight, as a share of the root mean square of its tensor. */
const NOISE = 0.05;
/** Batches that are trained on in turn; the loss is measured on all of them. */
const BATCHES = 4;
/** Samples of a batch where the model does not say. */
const BATCH = 8;
const STEPS = 48;
/** The loss must fall by this share. */
const BAR = 0.2;
/** The learning rate that is tried first, as a share of the scale of the weights; for how many steps; how many are tried. */
const RATE = 0.004;
const TRIAL = 12;
const TRIALS = 3;
/** The next one is so many times lower where the loss rose, higher where it fell too slowly. */
const FURTHER = 4;
/** A rate is kept that brings the loss down to this share in its trial. */
const GOOD = 0.8;
const ADAM = {
  name: 'adam',
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-12,
  weightDecay: 0,
} as const satisfies OptimizerOptions;

/** Disturbs the weights of a model, lets it learn the original's outputs again, and tells how far it came. */
export async function distillOne({ path, reference, seed }: Task): Promise<Result> {
  try {
    const file = withSeededWeights(readModel(path));
    const given = reference !== undefined && existsSync(reference) ? readReference(reference) : undefined;
    const analysis = await analyse(file, { seed, samples: given && referenceInputs(given) });
    const { before, after, steps, rate, outputs, trained } = await learnt(file, analysis, given, seed);
    const fell = 1 - after / before;
    const why = `the loss fell by ${(fell * 100).toFixed(1)} % only, from ${before.toPrecision(3)} to ${after.toPrecision(3)}`;
    return {
      outcome: fell >= BAR ? 'ok' : 'WRONG',
      ...(!(fell >= BAR) && { why }),
      distilled: { before, after },
      details: { steps, rate, outputs, trained },
    };
  } catch (error) {
    if (error instanceof CgesError && error.code !== 'DIVERGED') {
      return { outcome: 'refused', why: error.message, details: { code: error.code } };
    }
    throw error;
  }
}

async function learnt(file: OnnxFile, analysis: Analysis, reference: Reference | undefined, seed: number) {
  const batch = batchOf(analysis);
  const original = await trainingGraph(file, analysis, batch);
  const batches = feedsOf(analysis, batch, reference, seed);
  const all = joined(original, batches);
  const targets = await outputsOf(original, all);
  const matched = matchedOutputs(original.outputs, targets);
  const placeOf = ({ name }: Matched) => original.outputs.findIndex((o) => o.of.includes(name));
  const loss = (results: readonly Tensor[]) =>
    matched.reduce((sum, m) => sum + m.factor * errorOf(results[placeOf(m)], targets[placeOf(m)]), 0);

  const disturbed = withWeights(file, original, noisy(original, seed));
  const start = await analyse(disturbed, analysis.options);
  const open = (from: OnnxFile, at: Analysis) =>
    openNetwork(from, at, {
      loss: 'mean-squared-error',
      output: 0,
      matched,
      batch,
      microBatches: 1,
      batchNorm: 'frozen',
      optimizer: ADAM,
      provider: 'cpu',
      threads: 1,
    });
  const chunk: Record<string, Tensor> = { ...all };
  for (const m of matched) chunk[targetFeed(m.name)] = targets[placeOf(m)];

  let steps = 0;
  let before = Number.NaN;
  let share = RATE;
  for (let trial = 1; trial <= TRIALS; trial++) {
    const network = await open(disturbed, start);
    try {
      const rate = share * scaleOf(network.graph);
      if (trial === 1) before = loss(await outputsOf(network.graph, all));
      await train(network, chunk, TRIAL, () => rate);
      steps += TRIAL;
      const reached = loss(await outputsOf(await withState(network), all));
      if (!(reached <= GOOD * before) && trial < TRIALS) {
        share *= reached < before ? FURTHER : 1 / FURTHER;
        continue;
      }
      const left = STEPS - steps;
      await train(network, chunk, left, (t) => rate * (1 - t / left), TRIAL);
      steps += left;
      // Of the model as it would be written: what was learnt must have reached it.
      const result = await network.trained();
      const graph = await trainingGraph(result, await analyse(result, analysis.options), batch);
      return {
        before,
        after: loss(await outputsOf(graph, all)),
        steps,
        rate,
        outputs: matched.length,
        trained: original.parameters.size,
      };
    } finally {
      await network.close();
    }
  }
  throw new Error('no rate was tried');
}

function batchOf({ batch, inputs, options: { samples = {} } }: Analysis): number {
  if (batch.kind === 'fixed') return batch.size;
  const batched = inputs.find((i) => i.batchAxis !== undefined);
  if (batch.kind === 'free' && !batched) return 1;
  return (batched && samples[batched.name]?.dims[batched.batchAxis!]) ?? BATCH;
}

/** @returns inputs of several batches: drawn as the reference tells with other seeds, else as the analysis draws them. */
function feedsOf(
  analysis: Analysis,
  batch: number,
  reference: Reference | undefined,
  seed: number,
): Record<string, Tensor>[] {
  const { inputs = analysis.inputs } = analysis.batch.kind === 'rebatched' ? analysis.batch : {};
  return Array.from({ length: BATCHES }, (_, k) => {
    const given = reference?.inputs?.map((i) => ({ ...i, fill: { ...i.fill, seed: i.fill.seed + k * 7919 } }));
    const samples = given ? referenceInputs({ inputs: given }) : {};
    return float32Feeds(makeFeeds(inputs, batch, analysis.sizes, seed + k, samples));
  });
}

/** @returns the inputs of all batches, one after the other along a leading axis. */
function joined(graph: TrainingGraph, batches: readonly Record<string, Tensor>[]): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape }) => {
      const each = batches[0][name].data.length;
      const data = new (batches[0][name].data.constructor as Float32ArrayConstructor)(each * batches.length);
      batches.forEach((feeds, k) => data.set(feeds[name].data as Float32Array, k * each));
      return [name, { dtype, dims: [batches.length, ...shape], data } as Tensor];
    }),
  );
}

/** @returns all outputs of a training graph on all batches, computed without the training step. */
async function outputsOf(graph: TrainingGraph, all: Readonly<Record<string, Tensor>>): Promise<Tensor[]> {
  const outputs = graph.outputs.map((_, k) => k);
  const teacher = await openTeacher(graph, { loss: 'mean-squared-error', outputs, provider: 'cpu', threads: 1 });
  try {
    return await teacher.scores(all, BATCHES * graph.batch);
  } finally {
    await teacher.close();
  }
}

/** @returns the mean squared error. */
function errorOf(results: Tensor, targets: Tensor): number {
  const [a, b] = [results.data as Float32Array, targets.data as Float32Array];
  return a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / a.length;
}

function noisy({ parameters }: TrainingGraph, seed: number): Map<string, Tensor> {
  return new Map(
    [...parameters].map(([name, { dims, data }], i) => {
      const random = Random.stream(seed, i);
      const noise = NOISE * rms(data as Float32Array);
      return [
        name,
        float32(
          dims,
          (data as Float32Array).map((w) => w + noise * random.normal()),
        ),
      ];
    }),
  );
}

function rms(data: Float32Array): number {
  return Math.sqrt(data.reduce((sum, w) => sum + w * w, 0) / data.length);
}

/** @returns the root mean square that half of all weights have less than, and half more, by their tensors. */
function scaleOf({ parameters }: TrainingGraph): number {
  const tensors = [...parameters.values()].map(({ data }) => ({ size: data.length, scale: rms(data as Float32Array) }));
  tensors.sort((a, b) => a.scale - b.scale);
  let left = tensors.reduce((sum, t) => sum + t.size, 0) / 2;
  return (tensors.find(({ size }) => (left -= size) <= 0) ?? tensors[0]).scale;
}

async function withState({ graph, run }: Network): Promise<TrainingGraph> {
  const state = await run.state();
  return { ...graph, parameters: new Map([...graph.parameters].map(([name, t]) => [name, state.get(name) ?? t])) };
}

/** Trains on the batches in turn; `done` steps were made before. */
async function train(
  { run, step }: Network,
  chunk: Readonly<Record<string, Tensor>>,
  steps: number,
  rateAt: (t: number) => number,
  done = 0,
): Promise<void> {
  for (let t = 0; t < steps; t++) {
    const each = (value: number) => float32([1], [value]);
    const feeds: Record<string, Tensor> = {
      [feedNames.rate]: each(rateAt(t)),
      [feedNames.correction1]: each(1 / (1 - ADAM.beta1 ** (done + t + 1))),
      [feedNames.correction2]: each(1 / (1 - ADAM.beta2 ** (done + t + 1))),
      [feedNames.phase]: each(t),
    };
    for (const { name, shape } of step.feeds) if (chunk[name]) feeds[name] = batchAt(chunk[name], t % BATCHES, shape);
    const { loss } = await run.run(feeds);
    if (!Number.isFinite(loss[0])) throw new CgesError('DIVERGED', `the loss is ${loss[0]} at step ${done + t + 1}`);
  }
}

function batchAt(tensor: Tensor, k: number, shape: readonly number[]): Tensor {
  const each = tensor.data.length / BATCHES;
  return { ...tensor, dims: [1, ...shape], data: tensor.data.slice(k * each, (k + 1) * each) } as Tensor;
}
