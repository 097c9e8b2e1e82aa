import { CgesError } from '../errors.js';
import type { LossName } from '../options.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { OutputKind } from './outputs.js';
import { layoutOf } from './predictions.js';

/** Least probability that a logarithm is taken of: a Softmax in float32 rounds smaller ones to 0. */
const LEAST = 1e-38;

/**
 * @returns the mean loss of one batch and the number of terms that it is the mean of, in double precision;
 * undefined where the output holds class numbers only.
 */
export function lossOf(
  loss: LossName,
  kind: OutputKind,
  output: Tensor,
  targets: Tensor,
): { mean: number; terms: number } | undefined {
  if (kind === 'classes' || Array.isArray(output.data) || Array.isArray(targets.data)) return undefined;
  const scores = output.data as ArrayLike<number>;
  const wanted = targets.data as ArrayLike<number | bigint>;
  if (loss === 'cross-entropy') return crossEntropy(kind, output.dims, scores, wanted);
  const terms = sizeOf(output.dims);
  if (wanted.length !== terms) {
    throw new CgesError('DATA_LABELS', `${wanted.length} targets do not fit an output of shape [${output.dims}]`);
  }
  let sum = 0;
  for (let i = 0; i < terms; i++) {
    const target = Number(wanted[i]);
    if (loss === 'mean-squared-error') sum += (scores[i] - target) ** 2;
    else if (kind === 'sigmoid') {
      sum -= target * Math.log(Math.max(LEAST, scores[i])) + (1 - target) * Math.log(Math.max(LEAST, 1 - scores[i]));
    } else sum += Math.max(scores[i], 0) - scores[i] * target + Math.log1p(Math.exp(-Math.abs(scores[i])));
  }
  return { mean: sum / terms, terms };
}

function crossEntropy(
  kind: OutputKind,
  dims: readonly number[],
  scores: ArrayLike<number>,
  labels: ArrayLike<number | bigint>,
): { mean: number; terms: number } {
  const { rows, classes, inner } = layoutOf(dims);
  const terms = rows * inner;
  if (labels.length !== terms) {
    throw new CgesError('DATA_LABELS', `${labels.length} labels do not fit an output of shape [${dims}]`);
  }
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < inner; i++) {
      const start = row * classes * inner + i;
      const label = Number(labels[row * inner + i]);
      if (label < 0 || label >= classes) {
        throw new CgesError('DATA_LABELS', `label ${label} is outside the model's ${classes} classes`, {
          hint: 'labels count from 0; check --label-column',
        });
      }
      const score = scores[start + label * inner];
      if (kind === 'probabilities') {
        sum -= Math.log(Math.max(LEAST, score));
        continue;
      }
      let top = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < classes; c++) top = Math.max(top, scores[start + c * inner]);
      let total = 0;
      for (let c = 0; c < classes; c++) total += Math.exp(scores[start + c * inner] - top);
      sum += top + Math.log(total) - score;
    }
  }
  return { mean: sum / terms, terms };
}
