import { openData } from '../src/data/open.js';
import { prepare } from '../src/data/prepare.js';
import { type Preprocessing, preprocessingOf } from '../src/data/preprocessing.js';
import { cpuEngine } from '../src/onnx/engine.js';
import { makeNode } from '../src/onnx/make.js';
import type { ModelProto } from '../src/onnx/proto.js';
import type { OnnxFile } from '../src/onnx/read.js';
import type { AugmentName } from '../src/options.js';
import { openSession } from '../src/runtime/session.js';
import { defaultThreads } from '../src/runtime/threads.js';
import { modelInputs } from '../src/samples.js';
import { analyse } from '../src/shape/analyse.js';
import { trainingGraph } from '../src/shape/normalise.js';
import type { TrainingGraph } from '../src/shape/training-graph.js';
import { bool, float32 } from '../src/tensor/tensor.js';
import { engineOf } from '../src/train/engines.js';
import type { OptimizerOptions } from '../src/train/optimizer.js';
import type { ProximalOptions } from '../src/train/proximal.js';
import { type RateSchedule, rampedLambda } from '../src/train/schedule.js';
import { batchSource } from '../src/train/source.js';
import { buildStep, initialState } from '../src/train/step.js';
import { type TrainProgress, train } from '../src/train/trainer.js';
import { withWeights } from '../src/train/weights.js';
import { evaluate } from '../src/validate/accuracy.js';
import { meaningOf } from '../src/validate/outputs.js';

export interface ScratchOptions {
  /** Folder of labelled pictures; its test set is only judged by. */
  readonly data: string;
  readonly steps: number;
  readonly batch?: number;
  /** Default: Adam. */
  readonly optimizer?: OptimizerOptions;
  /** Default: a cosine from 1e-3. */
  readonly rate?: RateSchedule;
  /** Training samples that are left out at the start of the data. */
  readonly skip?: number;
  readonly augment?: AugmentName;
  /** Default: pixels brought to 0 … 1. */
  readonly preprocessing?: Preprocessing;
  /** Share of the inputs of the layer with the weight `before` that every step drops. */
  readonly dropout?: { readonly ratio: number; readonly before: string };
  /** Sparsity of the `reference` grouping while training, at a constant λ. */
  readonly sparsity?: Omit<ProximalOptions, 'families' | 'grouping'> & { readonly lambda: number };
  readonly seed?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  onProgress?(progress: TrainProgress): void;
}

export interface FromScratch {
  readonly file: OnnxFile;
  /** On the test set, 0 … 1. */
  readonly accuracy: number;
}

const adam: OptimizerOptions = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

/**
 * Trains a classifier that a builder has made, from its seeded weights, for demo and measurements: the same compiler,
 * engine and loop that fine-tune a user's model.
 */
export async function trainFromScratch(model: ModelProto, options: ScratchOptions): Promise<FromScratch> {
  const { seed = 0, batch = 100, threads = defaultThreads(), optimizer = adam, steps, sparsity, dropout } = options;
  const { rate = { peak: 1e-3, steps, warmupSteps: Math.ceil(steps / 50), floor: 0.01 } } = options;
  const file: OnnxFile = { path: '', folder: '.', bytes: new Uint8Array(), model };
  const analysis = await analyse(file, { seed });
  const found = await openData(options.data);
  const preprocessing = options.preprocessing ?? preprocessingOf({ scale: 1 / 255 }, true);
  const samples = prepare(found.train, modelInputs(analysis), preprocessing);
  const inference = await trainingGraph(file, analysis, batch);
  const graph = dropout ? withDropout(inference, dropout.before, dropout.ratio) : inference;
  const step = buildStep(graph, {
    loss: 'cross-entropy',
    output: 0,
    optimizer,
    batchNorm: 'live',
    target: cpuEngine,
    proximal: sparsity && { ...sparsity, grouping: 'reference', families: [] },
  });
  const skip = options.skip ?? 0;
  const source = batchSource(step, {
    samples,
    indices: Uint32Array.from({ length: samples.length - skip }, (_, i) => skip + i),
    batch,
    microBatches: 1,
    augment: options.augment ?? 'none',
    seed,
  });
  const run = await engineOf({ provider: 'cpu', threads }).load(step, initialState(graph, step));
  // The plan counts in epochs; the last of them ends where the steps do.
  const enough = new AbortController();
  options.signal?.addEventListener('abort', () => enough.abort());
  let trained: OnnxFile;
  try {
    await train(
      run,
      step,
      source,
      {
        epochs: Math.ceil(steps / source.stepsPerEpoch),
        rate,
        optimizer,
        samplesPerStep: batch,
        seed,
        window: windowOf(steps),
        lambda: sparsity && rampedLambda(sparsity.lambda, 1),
      },
      {
        signal: enough.signal,
        onProgress: (p) =>
          options.onProgress?.({
            ...p,
            steps,
            secondsLeft: (p.secondsLeft * (steps - p.step)) / Math.max(1, p.steps - p.step),
          }),
        onWindow({ step: done }) {
          if (done >= steps) enough.abort();
        },
      },
    );
    trained = withWeights(file, graph, await run.state());
  } finally {
    await run.close();
  }
  const test = found.test ?? found.train;
  const session = await openSession(trained.model, { threads: { intraOp: threads } });
  try {
    const indices = Uint32Array.from({ length: test.length }, (_, i) => i);
    const judged = prepare(test, modelInputs(analysis), preprocessing);
    const { accuracy } = await evaluate(session, judged, indices, { loss: 'cross-entropy', output: meaningOf(model) });
    return { file: trained, accuracy: accuracy ?? Number.NaN };
  } finally {
    await session.close();
  }
}

/** The largest window of at most 50 steps that ends where training does. */
function windowOf(steps: number): number {
  for (let n = Math.min(50, steps); n > 1; n--) if (steps % n === 0) return n;
  return 1;
}

/** Puts a Dropout in training mode in front of the node that reads the weight `before`. */
function withDropout(graph: TrainingGraph, before: string, ratio: number): TrainingGraph {
  const at = graph.nodes.findIndex((node) => node.input.includes(before));
  if (at < 0) throw new Error(`no node of the training graph reads ${before}`);
  const reader = graph.nodes[at];
  const from = reader.input[0];
  const dropped = `${from}/dropped`;
  const dropout = makeNode('Dropout', [from, 'dropout/ratio', 'dropout/training'], [dropped], {}, { name: 'dropout' });
  const nodes = [...graph.nodes];
  nodes.splice(at, 1, dropout, { ...reader, input: [dropped, ...reader.input.slice(1)] });
  return {
    ...graph,
    nodes,
    values: new Map([
      ...graph.values,
      [dropped, graph.values.get(from)!],
      ['dropout/ratio', { dtype: 'float32' as const, shape: [] }],
      ['dropout/training', { dtype: 'bool' as const, shape: [] }],
    ]),
    constants: new Map([
      ...graph.constants,
      ['dropout/ratio', float32([], [ratio])],
      ['dropout/training', bool([], [true])],
    ]),
  };
}
