import { type GraphBuilder, TRAINING_OPSET, type Value } from '../../src/onnx/builder.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import { openSession } from '../../src/runtime/session.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

/** Runs what a builder has emitted. */
export async function evaluate(
  g: GraphBuilder,
  feeds: Record<string, Tensor>,
  outputs: readonly Value[],
): Promise<Tensor[]> {
  const model = makeModel(
    makeGraph({
      node: g.nodes,
      initializer: g.initializers,
      input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: outputs.map((o) => makeValueInfo(o.name, o.dtype, o.shape)),
    }),
    TRAINING_OPSET,
    [...g.domains],
  );
  const session = await openSession(model);
  const results = await session.run(feeds);
  await session.close();
  return outputs.map((o) => results[o.name]);
}

export function drawn(dims: readonly number[], seed: number, scale = 1): Tensor {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, () => scale * random.normal()),
  );
}

/** Largest difference, with where it is. */
export function worst(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): { index: number; actual: number; expected: number; error: number } {
  let at = { index: -1, actual: 0, expected: 0, error: -1 };
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (!(error <= at.error)) at = { index: i, actual: actual[i], expected: expected[i], error };
  }
  return at;
}
