import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { OutputKind } from './outputs.js';

/** Predicted classes, and how far each one was from being another. */
export interface Predictions {
  readonly classes: Int32Array;
  /** Best score minus second best (distance from the threshold for a single output); ∞ where only classes are known. */
  readonly margins: Float64Array;
}

/**
 * Reads class predictions from an output: classes stand on axis 1, any further axes (pixels) each hold a prediction.
 * A single value per sample is a yes or no. @returns undefined for what cannot hold predictions.
 */
export function predictionsOf(output: Tensor, kind: OutputKind): Predictions | undefined {
  const { data } = output;
  if (Array.isArray(data)) return undefined;
  if (kind === 'classes') {
    const classes = Int32Array.from(data as ArrayLike<number | bigint>, Number);
    return { classes, margins: new Float64Array(classes.length).fill(Number.POSITIVE_INFINITY) };
  }
  if (output.dtype !== 'float32' && output.dtype !== 'float64') return undefined;
  const scores = data as ArrayLike<number>;
  const { rows, classes, inner } = layoutOf(output.dims);
  if (classes === 1) return yesNo(scores, kind === 'sigmoid' || kind === 'probabilities' ? 0.5 : 0);
  const best = new Int32Array(rows * inner);
  const margins = new Float64Array(rows * inner);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < inner; i++) {
      const start = row * classes * inner + i;
      let top = Number.NEGATIVE_INFINITY;
      let second = Number.NEGATIVE_INFINITY;
      let at = 0;
      for (let c = 0; c < classes; c++) {
        const score = scores[start + c * inner];
        if (score > top) {
          second = top;
          top = score;
          at = c;
        } else if (score > second) second = score;
      }
      best[row * inner + i] = at;
      margins[row * inner + i] = top - second;
    }
  }
  return { classes: best, margins };
}

/** @returns an output as [rows, classes, inner]: classes on axis 1, or the only axis of a single row. */
export function layoutOf(dims: readonly number[]): { rows: number; classes: number; inner: number } {
  if (dims.length < 2) return { rows: dims[0] ?? 1, classes: 1, inner: 1 };
  return { rows: dims[0], classes: dims[1], inner: sizeOf(dims.slice(2)) };
}

function yesNo(scores: ArrayLike<number>, threshold: number): Predictions {
  return {
    classes: Int32Array.from(scores, (x) => (x > threshold ? 1 : 0)),
    margins: Float64Array.from(scores, (x) => Math.abs(x - threshold)),
  };
}
