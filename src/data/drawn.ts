import { CgesError } from '../errors.js';
import type { Analysis } from '../shape/analyse.js';
import { emptyData, makeFeeds } from '../shape/feeds.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { PreparedData } from './prepare.js';

/**
 * Samples that are made up as an analysis makes them up: given ones over and over, else numbers in [0, 1), or whole ones that
 * the model takes. The same seed and number, the same sample.
 *
 * **Throws** DATA_SHAPE where an input has no axis of samples.
 */
export function drawnData(analysis: Analysis, length: number, seed: number): PreparedData {
  const { batch, sizes, options } = analysis;
  const inputs = (batch.kind === 'rebatched' ? batch.inputs : analysis.inputs).map((input) => {
    const batchAxis = input.batchAxis ?? 0;
    if (batchAxis === 0 && input.dims.length > 0) return { ...input, batchAxis };
    throw new CgesError('DATA_SHAPE', `the first axis of input '${input.name}' does not count samples`, {
      value: input.name,
      hint: 'give samples of it: --data FILE.npz',
    });
  });
  const sample = (index: number): Record<string, Tensor> => {
    const given = Object.entries(options.samples ?? {}).map(([name, t]) => [name, rowOf(t, index)] as const);
    return makeFeeds(inputs, 1, sizes, seed + index, Object.fromEntries(given));
  };
  const gathered = (indices: ArrayLike<number>): Record<string, Tensor> => {
    const drawn = Array.from(indices, sample);
    return Object.fromEntries(
      inputs.map(({ name }) => {
        const { dtype, dims } = drawn[0][name];
        const each = sizeOf(dims);
        const data = emptyData(dtype, each * drawn.length) as Float32Array;
        drawn.forEach((feeds, i) => data.set(feeds[name].data as Float32Array, i * each));
        return [name, { dtype, dims: [drawn.length, ...dims.slice(1)], data } as Tensor];
      }),
    );
  };
  const first = sample(0);
  return {
    length,
    inputs: inputs.map(({ name, dtype }) => ({ name, dtype, shape: first[name].dims.slice(1) })),
    choices: [],
    targets: async () => undefined,
    gather: async (indices) => ({ inputs: gathered(indices) }),
  };
}

/** @returns one row of a tensor, its rows counted over and over. */
function rowOf(tensor: Tensor, index: number): Tensor {
  const [rows, ...shape] = tensor.dims;
  const each = sizeOf(shape);
  const at = index % rows;
  return { ...tensor, dims: [1, ...shape], data: tensor.data.slice(at * each, (at + 1) * each) } as Tensor;
}
