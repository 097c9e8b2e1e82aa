import type { AugmentPolicy } from './augment.js';
import type { Dataset } from './dataset.js';
import type { Fit } from './fit.js';
import type { Batch, PreparedData } from './prepare.js';
import type { ModelInput } from './preprocessing.js';
import { drawSamples } from './split.js';
import { measure } from './statistics.js';

export interface AugmentationOptions {
  readonly seed?: number;
  /** The samples that may be looked at: those to train on. Default: all. */
  readonly indices?: ArrayLike<number>;
  /** The data as the model takes them, and how right the model is on samples: shows whether it bears mirroring. */
  readonly prepared?: PreparedData;
  readonly accuracy?: (prepared: PreparedData, indices: Uint32Array) => Promise<number>;
}

/** Pictures that are looked at. */
const LOOK = 200;
/** A model that bears mirroring loses at most this share of what it is better than chance. */
const MIRROR_LOSS = 0.15;

/**
 * Chooses the random changes of training pictures from what the pictures are: photographs are moved and mirrored,
 * drawn signs only moved. Mirroring is left out where class names are digits or letters, or where the model shows
 * that it knows left from right.
 */
export async function chooseAugmentation(
  dataset: Dataset,
  input: ModelInput,
  { seed = 0, indices, prepared, accuracy }: AugmentationOptions = {},
): Promise<{ policy: AugmentPolicy; why: string }> {
  const open = indices ?? Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const { fit, picture } = await measure(dataset, input, { indices: drawSamples(open, LOOK, seed), seed });
  if (!picture) return { policy: 'none', why: 'the samples are no pictures' };
  if (dataset.target?.kind !== 'class')
    return { policy: 'none', why: 'the targets may depend on where things are in the picture' };
  const { height, width } = fit.geometry!;
  const size = `${height}×${width}`;
  if (Math.min(height, width) < 16) return { policy: 'none', why: `pictures of ${size} are too small to be moved` };
  const looked = drawSamples(open, LOOK, seed);
  const { coloured, framed } = await lookAt(fit, looked);
  if (framed > 0.8)
    return {
      policy: 'shift',
      why: `${percent(framed)} of the pictures stand on a plain ground, like drawn signs: moved, never mirrored`,
    };
  if (coloured < 0.5) return { policy: 'shift', why: 'grey pictures are moved, never mirrored' };
  const { names } = dataset.target;
  if (names && names.length > 1 && names.every((name) => /^([a-z]|\d+)$/i.test(name)))
    return {
      policy: 'shift',
      why: `the classes are called ${names.slice(0, 3).join(', ')}, …: signs are moved, never mirrored`,
    };
  if (Math.min(height, width) < 24) return { policy: 'shift', why: `pictures of ${size} are moved by a pixel or two` };
  if (prepared && accuracy) {
    const plain = await accuracy(prepared, looked);
    const seen = await accuracy(mirrored(prepared, fit), looked);
    const chance = 1 / dataset.target.classes;
    if (plain - seen > MIRROR_LOSS * Math.max(0, plain - chance))
      return {
        policy: 'shift',
        why: `mirrored pictures are recognised less often (${percent(seen)} instead of ${percent(plain)}): moved, not mirrored`,
      };
  }
  return { policy: 'crop-flip', why: `colour photographs of ${size}: moved and mirrored` };
}

/** @returns the same data with every picture mirrored, for pictures of one input. */
export function mirrored(prepared: PreparedData, { geometry, input }: Pick<Fit, 'geometry' | 'input'>): PreparedData {
  return {
    ...prepared,
    async gather(indices, augment): Promise<Batch> {
      const batch = await prepared.gather(indices, augment);
      const tensor = batch.inputs[input.name];
      if (!geometry || !(tensor.data instanceof Float32Array)) return batch;
      const { height, width, channels, outStep, outRow, outPlane } = geometry;
      const data = tensor.data.slice();
      const elements = height * width * channels;
      for (let k = 0; k < indices.length; k++)
        for (let c = 0; c < channels; c++)
          for (let y = 0; y < height; y++) {
            const line = k * elements + c * outPlane + y * outRow;
            for (let x = 0; x < width; x++) data[line + x * outStep] = tensor.data[line + (width - 1 - x) * outStep];
          }
      return { ...batch, inputs: { ...batch.inputs, [input.name]: { ...tensor, data } } };
    },
  };
}

/** @returns the share of pictures with colours, and of those whose border is of one colour. */
async function lookAt(fit: Fit, indices: Uint32Array): Promise<{ coloured: number; framed: number }> {
  const { height, width, planes, row, step } = fit.geometry!;
  const { data, offsets } = await fit.source.read(indices);
  const raw = [...new Set(planes)].slice(0, 3);
  let most = 0;
  for (const o of offsets)
    for (const p of raw)
      for (let i = 0; i < height * width; i += 7) most = Math.max(most, Math.abs(data[o + p + i * step]));
  const unit = most > 1 ? 255 : 1;
  let coloured = 0;
  let framed = 0;
  for (const o of offsets) {
    let spread = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const values = raw.map((p) => data[o + p + y * row + x * step]);
        spread += Math.max(...values) - Math.min(...values);
      }
    if (spread / (height * width) > 0.02 * unit) coloured++;
    if (borderDeviation(height, width, (y, x) => data[o + raw[0] + y * row + x * step]) < 0.03 * unit) framed++;
  }
  return { coloured: coloured / offsets.length, framed: framed / offsets.length };
}

function borderDeviation(height: number, width: number, at: (y: number, x: number) => number): number {
  const values: number[] = [];
  for (let x = 0; x < width; x++) values.push(at(0, x), at(height - 1, x));
  for (let y = 1; y < height - 1; y++) values.push(at(y, 0), at(y, width - 1));
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
