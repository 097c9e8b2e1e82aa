import type { Dataset } from './dataset.js';
import { type Fit, fitPart, matchParts } from './fit.js';
import { asTheyAre, type ModelInput } from './preprocessing.js';
import { drawSamples } from './split.js';

/** Samples that are looked at, and the values that they may have together. */
const LOOK = 1000;
const VALUES = 32e6;

/** What the raw values of a data set are like, over a drawn part of the training samples. */
export interface Statistics {
  readonly fit: Fit;
  /** The values are those of a picture: their statistics go by channel, else by place. */
  readonly picture: boolean;
  /** In the order of the raw channels or places. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly least: number;
  readonly most: number;
  /** All values are whole numbers. */
  readonly whole: boolean;
  /** The value that stands for white or full: 255 for bytes, 1 for fractions, undefined where values go below 0 or beyond. */
  readonly full?: 1 | 255;
}

/** Measures the raw values that feed one input. */
export async function measure(
  dataset: Dataset,
  input: ModelInput,
  { indices, seed = 0 }: { readonly indices?: ArrayLike<number>; readonly seed?: number } = {},
): Promise<Statistics> {
  const part = matchParts(dataset, [input])[0];
  const fit = fitPart(part, input, asTheyAre, dataset.path);
  const open = indices ?? Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const count = Math.min(LOOK, Math.max(64, Math.floor(VALUES / fit.source.elements)));
  const looked = drawSamples(open, count, seed);
  const { data, offsets } = await fit.source.read(looked);
  const { geometry } = fit;
  const picture = geometry !== undefined;
  const planes = geometry ? [...new Set(geometry.planes)] : [];
  const places = geometry ? planes.length : fit.source.elements;
  const sum = new Float64Array(places);
  const squares = new Float64Array(places);
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let whole = true;
  const add = (c: number, value: number) => {
    sum[c] += value;
    squares[c] += value * value;
    if (value < least) least = value;
    if (value > most) most = value;
    whole &&= Number.isInteger(value);
  };
  for (const offset of offsets) {
    if (geometry) {
      for (let c = 0; c < places; c++)
        for (let y = 0; y < geometry.height; y++)
          for (let x = 0; x < geometry.width; x++)
            add(c, data[offset + planes[c] + y * geometry.row + x * geometry.step]);
    } else for (let i = 0; i < places; i++) add(i, data[offset + i]);
  }
  const n = offsets.length * (geometry ? geometry.height * geometry.width : 1);
  const mean = Array.from(sum, (s) => s / n);
  const deviation = Array.from(squares, (s, c) => Math.sqrt(Math.max(0, s / n - mean[c] * mean[c])));
  const bytes = part.kind === 'image' && part.dtype === 'uint8';
  const full = bytes
    ? 255
    : least < 0
      ? undefined
      : most <= 1
        ? 1
        : most <= 255 && (whole || picture)
          ? 255
          : undefined;
  return { fit, picture, mean, deviation, least, most, whole, full };
}
