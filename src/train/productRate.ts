import { GraphBuilder, type Value } from '../onnx/builder.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { FeedSlot, StateSlot, StepGraph } from './engine.js';
import { engineOf } from './engines.js';
import type { Patience } from './remote.js';

/** Rows of the matrices: where rates are told, and for a first look. */
export const productSizes = { whole: 1024, small: 256 } as const;
const PRODUCTS = 4;
const STEPS = 3;

/**
 * @param size rows and columns
 * @returns floating-point operations per second of float32 matrix products that stay on the device
 *
 * **Throws** PROVIDER_UNAVAILABLE when the provider does not run them.
 */
export async function productRate(
  provider: ConcreteProvider,
  threads: number,
  size: number,
  patience?: Patience,
): Promise<number> {
  const engine = engineOf({ provider, threads }, patience);
  const step = products(size);
  const run = await engine.load(
    step,
    new Map(step.state.map(({ name }) => [name, filled(size, name === 'a' ? 1 : 1 / size)])),
  );
  try {
    await run.run(feeds(1));
    const began = performance.now();
    await run.run(feeds(STEPS));
    const seconds = (performance.now() - began) / 1000;
    return (STEPS * PRODUCTS * 2 * size ** 3) / seconds;
  } finally {
    await run.close();
  }
}

/** a ← a·b·b·b·b: of ones it stays ones, where every element of b is 1/n. */
function products(size: number): StepGraph {
  const g = new GraphBuilder();
  const state = ['a', 'b'].map((name): StateSlot => ({ name, next: '', dtype: 'float32', shape: [size, size] }));
  const scale: FeedSlot = { name: 'scale', dtype: 'float32', shape: [] };
  const [a, b, factor] = [...state, scale].map(({ name, dtype, shape }): Value => {
    g.reserve(name);
    return { name, dtype, shape };
  });
  let product = a;
  for (let i = 0; i < PRODUCTS; i++) product = g.matMul(product, b);
  const next = [product, g.mul(b, factor)].map((v) => v.name);
  return {
    graph: g,
    state: state.map((s, i) => ({ ...s, next: next[i] })),
    feeds: [scale],
    metrics: [{ name: 'loss', value: g.reduceMean(product, [0, 1]).name }],
  };
}

function feeds(steps: number): Record<string, Tensor> {
  return { scale: float32([steps], new Float32Array(steps).fill(1)) };
}

function filled(size: number, value: number): Tensor {
  return float32([size, size], new Float32Array(size * size).fill(value));
}
