import { CgesError } from '../errors.js';
import type { TrainingOutput } from '../shape/training-graph.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Matched } from './loss.js';

/** Share of its mean square that an output's spread counts as at least: below it, rounding is all that differs. */
const LEAST_SPREAD = 1e-6;

/**
 * @param results what each output of a training graph is on some samples, batch after batch
 * @returns the factors by which a loss over all outputs is the mean of their squared errors as shares of how far each
 *   output varies from sample to sample: 0 is to be the same, 1 to know nothing of the sample
 *
 * **Throws** NOTHING_TO_TRAIN where no output is finite.
 */
export function matchedOutputs(outputs: readonly TrainingOutput[], results: readonly Tensor[]): Matched[] {
  const spreads = results.map((tensor, output) => {
    const { batchAxis, shape } = outputs[output];
    const data = tensor.data as Float32Array;
    return spreadOf(data, batchAxis === 0 ? tensor.dims[0] : tensor.dims[0] / (shape[0] ?? 1));
  });
  const finite = spreads.flatMap((spread, output) =>
    Number.isFinite(spread) ? [{ name: outputs[output].of[0], spread }] : [],
  );
  if (finite.length === 0) {
    throw new CgesError('NOTHING_TO_TRAIN', 'no output of the model is finite on these samples: nothing can be learnt');
  }
  return finite.map(({ name, spread }) => ({ name, factor: 1 / (spread * finite.length) }));
}

/** @returns the mean over the elements of a sample of their variance over the samples. */
function spreadOf(data: Float32Array, samples: number): number {
  const each = data.length / samples;
  let variance = 0;
  let square = 0;
  for (let i = 0; i < each; i++) {
    let sum = 0;
    let squares = 0;
    for (let at = i; at < data.length; at += each) {
      sum += data[at];
      squares += data[at] ** 2;
    }
    square += squares / samples;
    variance += Math.max(0, squares / samples - (sum / samples) ** 2);
  }
  const spread = (variance + LEAST_SPREAD * square) / each;
  return spread === 0 ? 1 : spread;
}
