import { emitForward } from '../autodiff/forward.js';
import { GraphBuilder, TRAINING_OPSET } from '../onnx/builder.js';
import { type Engine, standardEngine } from '../onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { tidied } from '../onnx/tidied.js';
import { encodeModel } from '../onnx/write.js';
import { specOf } from '../ops/index.js';
import type { LossName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import { openInBackground } from './background.js';
import { targetOf } from './engines.js';
import { openHere } from './loads.js';
import { scoresOf } from './loss.js';

/** A model whose outputs (logits, for a classifier) another one learns to give. */
export interface Teacher {
  /**
   * @param inputs by input name, one sample after the other in whatever leading axes
   * @param samples their number: a multiple of the batch of the training graph
   * @param known numbers of the samples where they are fed as they are, for what was computed once to be kept
   * @returns for each output that was asked for the results of all batches, one after the other along the first axis
   */
  scores(inputs: Readonly<Record<string, Tensor>>, samples: number, known?: ArrayLike<number>): Promise<Tensor[]>;
  close(): Promise<void>;
}

export interface TeacherOptions {
  readonly loss: LossName;
  /** Indices of the training graph's outputs that are learnt. */
  readonly outputs: readonly number[];
  readonly provider: ConcreteProvider;
  readonly threads: number;
}

/** Bytes of scores that are kept. */
const MOST_KEPT = 256e6;

/** Loads the forward pass of a training graph, up to the values that its loss is computed on, as at inference. */
export async function openTeacher(graph: TrainingGraph, options: TeacherOptions): Promise<Teacher> {
  const { provider, threads } = options;
  // The weights are constants here: for the processor onnxruntime itself knows the best layout.
  const target = provider === 'cpu' ? standardEngine : await targetOf({ provider });
  const { model, scores } = forwardModel(graph, options, target);
  const names = scores.map((s) => s.name);
  const load = {
    how: 'forward',
    step: { bytes: encodeModel(model), outputs: names },
    options: { provider, threads },
  } as const;
  const forward = provider === 'cpu' ? await openHere(load, new Map()) : await openInBackground(load, new Map());
  const { batch } = graph;
  const sizes = scores.map((s) => sizeOf(s.shape));
  const bytes = sizes.reduce((sum, n) => sum + (n / batch) * 4, 0);
  const byRows = scores.every((s) => s.shape[0] === batch);
  const kept = new Map<number, Float32Array[]>();
  const keep = (sample: number, rows: Float32Array[]) => {
    if (byRows && (kept.size + 1) * bytes <= MOST_KEPT) kept.set(sample, rows);
  };

  const run = async (inputs: Readonly<Record<string, Tensor>>, at: number): Promise<Float32Array[]> => {
    const feeds = Object.fromEntries(graph.inputs.map(({ name, shape }) => [name, part(inputs[name], at, shape)]));
    const results = await forward.run(feeds);
    return names.map((name) => results[name]);
  };
  return {
    async scores(inputs, samples, known) {
      const runs = samples / batch;
      const data = sizes.map((size) => new Float32Array(runs * size));
      for (let at = 0; at < runs; at++) {
        const numbers = known && Array.from({ length: batch }, (_, i) => known[at * batch + i]);
        if (numbers?.every((n) => kept.has(n))) {
          numbers.forEach((n, i) => kept.get(n)!.forEach((row, k) => data[k].set(row, at * sizes[k] + i * row.length)));
          continue;
        }
        const found = await run(inputs, at);
        found.forEach((values, k) => data[k].set(values, at * sizes[k]));
        const rowOf = (values: Float32Array, i: number) => {
          const each = values.length / batch;
          return values.slice(i * each, (i + 1) * each);
        };
        numbers?.forEach((n, i) =>
          keep(
            n,
            found.map((values) => rowOf(values, i)),
          ),
        );
      }
      return scores.map(({ shape }, k) => float32([runs * (shape[0] ?? 1), ...shape.slice(1)], data[k]));
    },
    close: () => forward.close(),
  };
}

function forwardModel(
  graph: TrainingGraph,
  { loss, outputs }: Pick<TeacherOptions, 'loss' | 'outputs'>,
  target: Engine,
): { model: ModelProto; scores: readonly { name: string; shape: readonly number[] }[] } {
  const g = new GraphBuilder(target);
  const given = graph.inputs.map(({ name, dtype, shape }) => {
    g.reserve(name);
    return { name, dtype, shape };
  });
  const context = { batchNorm: 'frozen', update() {}, random: undefined } as const;
  const { values } = emitForward(g, graph, new Map(given.map((v) => [v.name, v])), context, specOf);
  const scores = outputs.map((output) => values.get(scoresOf(graph, { loss, output }))!);
  const made = makeGraph({
    name: 'teacher',
    node: tidied(
      g,
      scores.map((s) => s.name),
    ),
    initializer: g.initializers,
    input: given.map((v) => makeValueInfo(v.name, v.dtype, v.shape)),
    output: scores.map((s) => makeValueInfo(s.name, 'float32', s.shape)),
  });
  return { model: makeModel(made, TRAINING_OPSET, [...g.domains]), scores };
}

/** @returns what the batch at a place among others holds, as a view. */
function part(tensor: Tensor, at: number, shape: readonly number[]): Tensor {
  const each = sizeOf(shape);
  const range = [at * each, (at + 1) * each] as const;
  const data = Array.isArray(tensor.data) ? tensor.data.slice(...range) : tensor.data.subarray(...range);
  return { dtype: tensor.dtype, dims: shape, data } as Tensor;
}
