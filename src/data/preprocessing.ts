import { CgesError } from '../errors.js';
import type { DType } from '../tensor/tensor.js';

/** An input of a model, as data sees it. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: DType;
  /** Per sample, without the batch axis; `null` for an axis that the model leaves open. */
  readonly shape: readonly (number | null)[];
}

export type Layout = 'NCHW' | 'NHWC';
export type Channels = 'rgb' | 'bgr' | 'grey';

/**
 * How raw values become an input: (raw·scale − mean) / std. Lists of one hold for all values; longer ones go by channel,
 * in the order in which the model takes the channels, or by feature.
 */
export interface Preprocessing {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly layout: Layout;
  readonly channels: Channels;
  /** A name from the field, where it has one. */
  readonly name?: string;
}

/** Values as they are. */
export const asTheyAre: Preprocessing = {
  scale: 1,
  mean: [0],
  std: [1],
  layout: 'NCHW',
  channels: 'rgb',
  name: 'as they are',
};

/** What users may give of a preprocessing. */
export interface PreprocessingOptions {
  readonly scale?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Axes as the model takes them, and `-bgr` where it takes blue first. */
  readonly layout?: 'nchw' | 'nhwc' | 'nchw-bgr' | 'nhwc-bgr';
}

/** @returns whether the values themselves are settled by options: nothing is left to be chosen but the layout. */
export function isGiven(options: PreprocessingOptions): boolean {
  return options.scale !== undefined || options.mean !== undefined || options.std !== undefined;
}

/**
 * The preprocessing that options ask for. Without a scale, a mean and deviation of at most 1 are taken to be of pixels
 * brought to 0…1, others of pixels as they are.
 * @param pixels the data are bytes of pictures
 */
export function preprocessingOf(options: PreprocessingOptions, pixels: boolean): Preprocessing {
  const mean = options.mean ?? [0];
  const std = options.std ?? [1];
  const unit =
    [...mean, ...std].every((x) => Math.abs(x) <= 1) && (options.mean !== undefined || options.std !== undefined);
  const scale = options.scale ?? (pixels && unit ? 1 / 255 : 1);
  const given = [scale, ...mean, ...std];
  if (!given.every(Number.isFinite) || std.includes(0) || mean.length === 0 || std.length === 0)
    throw new CgesError('USAGE', 'scale, mean and std have to be numbers, and std not 0', {
      hint: '--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
    });
  return {
    scale,
    mean,
    std,
    layout: options.layout?.startsWith('nhwc') ? 'NHWC' : 'NCHW',
    channels: options.layout?.endsWith('bgr') ? 'bgr' : 'rgb',
  };
}

/** @returns the preprocessing with another order of axes or colours, where options ask for one. */
export function withLayout(preprocessing: Preprocessing, options: PreprocessingOptions): Preprocessing {
  if (!options.layout) return preprocessing;
  const { layout, channels } = preprocessingOf({ layout: options.layout }, false);
  return { ...preprocessing, layout, channels: preprocessing.channels === 'grey' ? 'grey' : channels };
}

/** Says a preprocessing to people: "pixels / 255, minus 0.1307, by 0.3081 (MNIST mean and deviation), grey". */
export function describe(preprocessing: Preprocessing): string {
  const { scale, mean, std, channels, layout, name } = preprocessing;
  const neutral = mean.every((m) => m === 0) && std.every((s) => s === 1);
  const size = Math.abs(scale);
  const divisor = Math.round(1 / size);
  const times =
    size === 1 ? 'x' : divisor > 1 && Math.abs(1 / size - divisor) < 1e-9 ? `x/${divisor}` : `x·${figure(size)}`;
  const scaled = scale < 0 ? `−${times}` : times;
  const shifted =
    mean.length === 1 && mean[0] <= 0
      ? mean[0] < 0
        ? `${scaled} + ${figure(-mean[0])}`
        : scaled
      : `${scaled} − ${list(mean)}`;
  const divided = std.every((s) => s === 1) ? shifted : `(${shifted}) / ${list(std)}`;
  const formula = neutral ? scaled : divided;
  const order = channels === 'grey' ? 'grey' : `${channels.toUpperCase()}, ${layout}`;
  const picture = name === asTheyAre.name || name?.startsWith('features') ? '' : `, ${order}`;
  return `${name ? `${name}: ` : ''}${formula}${picture}`;
}

function list(values: readonly number[]): string {
  if (values.length === 1) return figure(values[0]);
  const shown = values.slice(0, 4).map(figure).join(', ');
  return `[${shown}${values.length > 4 ? `, … ${values.length} values` : ''}]`;
}

function figure(x: number): string {
  return String(Number(x.toPrecision(5)));
}
