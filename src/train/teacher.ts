import { emitForward } from '../autodiff/forward.js';
import { GraphBuilder, TRAINING_OPSET } from '../onnx/builder.js';
import type { Engine } from '../onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { tidied } from '../onnx/tidied.js';
import { specOf } from '../ops/index.js';
import type { LossName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { openSession } from '../runtime/session.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import { scoresOf } from './loss.js';

/** A model whose scores (logits) another one learns to give. */
export interface Teacher {
  /**
   * @param inputs by input name, one sample after the other in whatever leading axes
   * @param samples their number: a multiple of the batch of the training graph
   * @param known numbers of the samples where they are fed as they are, for what was computed once to be kept
   * @returns float32 [samples, …]
   */
  scores(inputs: Readonly<Record<string, Tensor>>, samples: number, known?: ArrayLike<number>): Promise<Tensor>;
  close(): Promise<void>;
}

export interface TeacherOptions {
  readonly loss: LossName;
  /** Index of the training graph's output that the loss is computed on. */
  readonly output: number;
  readonly provider: ConcreteProvider;
  readonly threads: number;
  readonly target?: Engine;
}

/** Bytes of scores that are kept. */
const MOST_KEPT = 256e6;

/** Loads the forward pass of a training graph, up to the scores that its loss is computed on, as at inference. */
export async function openTeacher(graph: TrainingGraph, options: TeacherOptions): Promise<Teacher> {
  const { provider, threads, target } = options;
  const { model, scores, shape } = forwardModel(graph, options, target);
  const session = await openSession(model, { provider, threads: { intraOp: threads }, spinning: false });
  const [batch] = shape;
  const each = sizeOf(shape) / batch;
  const kept = new Map<number, Float32Array>();
  const keep = (sample: number, row: Float32Array) => {
    if ((kept.size + 1) * each * 4 <= MOST_KEPT) kept.set(sample, row.slice());
  };

  const run = async (inputs: Readonly<Record<string, Tensor>>, from: number): Promise<Float32Array> => {
    const feeds = Object.fromEntries(graph.inputs.map(({ name, shape }) => [name, part(inputs[name], from, shape)]));
    return (await session.run(feeds, [scores]))[scores].data as Float32Array;
  };
  return {
    async scores(inputs, samples, known) {
      const data = new Float32Array(samples * each);
      for (let from = 0; from < samples; from += batch) {
        const numbers = known && Array.from({ length: batch }, (_, i) => known[from + i]);
        if (numbers?.every((n) => kept.has(n))) {
          numbers.forEach((n, i) => data.set(kept.get(n)!, (from + i) * each));
          continue;
        }
        const found = await run(inputs, from);
        data.set(found, from * each);
        numbers?.forEach((n, i) => keep(n, found.subarray(i * each, (i + 1) * each)));
      }
      return float32([samples, ...shape.slice(1)], data);
    },
    close: () => session.close(),
  };
}

function forwardModel(
  graph: TrainingGraph,
  options: Pick<TeacherOptions, 'loss' | 'output'>,
  target?: Engine,
): { model: ModelProto; scores: string; shape: readonly number[] } {
  const g = new GraphBuilder(target);
  const given = graph.inputs.map(({ name, dtype, shape }) => {
    g.reserve(name);
    return { name, dtype, shape };
  });
  const context = { batchNorm: 'frozen', update() {}, random: undefined } as const;
  const { values } = emitForward(g, graph, new Map(given.map((v) => [v.name, v])), context, specOf);
  const { name, shape } = values.get(scoresOf(graph, options))!;
  const made = makeGraph({
    name: 'teacher',
    node: tidied(g, [name]),
    initializer: g.initializers,
    input: given.map((v) => makeValueInfo(v.name, v.dtype, v.shape)),
    output: [makeValueInfo(name, 'float32', shape)],
  });
  return { model: makeModel(made, TRAINING_OPSET, [...g.domains]), scores: name, shape };
}

/** @returns what a batch of the given shape holds from sample `from` on, as a view. */
function part(tensor: Tensor, from: number, shape: readonly number[]): Tensor {
  const each = sizeOf(shape.slice(1));
  const range = [from * each, (from + shape[0]) * each] as const;
  const data = Array.isArray(tensor.data) ? tensor.data.slice(...range) : tensor.data.subarray(...range);
  return { dtype: tensor.dtype, dims: shape, data } as Tensor;
}
