import { CgesError } from '../errors.js';
import { float32ToFloat16 } from '../tensor/half.js';
import type { DType, Tensor, TensorData } from '../tensor/tensor.js';
import { type Augment, moveOf } from './augment.js';
import type { Dataset, Rows, Target } from './dataset.js';
import { fillBytes, fillNumbers, fillVector } from './fill.js';
import { type Fit, fitPart, matchParts } from './fit.js';
import { asTheyAre, type ModelInput, type Preprocessing } from './preprocessing.js';

/** Samples as a model takes them: the first axis of every tensor counts them. */
export interface Batch {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Classes as int64 [n], or numbers as float32 [n, …]. */
  readonly targets?: Tensor;
}

/** A data set fitted to a model's inputs. */
export interface PreparedData {
  readonly length: number;
  /** Shapes are per sample, without the batch axis. */
  readonly inputs: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }[];
  readonly target?: Target;
  /** The class of every sample, where the target is a class. */
  readonly labels?: Int32Array;
  /** What had to be decided to fit the data to the model, as sentences. */
  readonly choices: readonly string[];
  targets(indices: ArrayLike<number>): Promise<Tensor | undefined>;
  /** Makes a batch of the samples at `indices`; the same seed, epoch and sample are augmented alike in any batch. */
  gather(indices: ArrayLike<number>, augment?: Augment): Promise<Batch>;
}

/**
 * Fits a data set to a model's inputs.
 * @param preprocessing for all inputs, or by input name; values stay as they are where it is left out
 * @throws CgesError DATA_SHAPE where the samples do not fit
 */
export function prepare(
  dataset: Dataset,
  inputs: readonly ModelInput[],
  preprocessing: Preprocessing | Readonly<Record<string, Preprocessing>> = asTheyAre,
): PreparedData {
  const parts = matchParts(dataset, inputs);
  const fillers = inputs.map((input, i) => {
    const chosen = isPreprocessing(preprocessing) ? preprocessing : (preprocessing[input.name] ?? asTheyAre);
    return filler(fitPart(parts[i], input, chosen, dataset.path), chosen, dataset.path);
  });
  const targets = async (indices: ArrayLike<number>): Promise<Tensor | undefined> => {
    const { labels, values, target } = dataset;
    const n = indices.length;
    if (labels) {
      const data = new BigInt64Array(n);
      for (let k = 0; k < n; k++) data[k] = BigInt(labels[indices[k]]);
      return { dtype: 'int64', dims: [n], data };
    }
    if (!values || target?.kind !== 'values') return undefined;
    const rows = await values.read(indices);
    const data = new Float32Array(n * values.elements);
    for (let k = 0; k < n; k++)
      data.set(rows.data.subarray(rows.offsets[k], rows.offsets[k] + values.elements), k * values.elements);
    return { dtype: 'float32', dims: [n, ...target.shape], data };
  };
  return {
    length: dataset.length,
    inputs: fillers.map(({ fit }) => ({ name: fit.input.name, dtype: fit.input.dtype, shape: fit.shape })),
    target: dataset.target,
    labels: dataset.labels,
    choices: fillers.flatMap(({ fit }) => fit.choices),
    targets,
    async gather(indices, augment) {
      const n = indices.length;
      const made: Record<string, Tensor> = {};
      for (const { fit, fill } of fillers) {
        const answer = fit.source.read(indices);
        const rows = answer instanceof Promise ? await answer : answer;
        const out = new Float32Array(n * fit.elements);
        for (let k = 0; k < n; k++) fill(out, k, rows, indices[k], augment);
        made[fit.input.name] = { dtype: fit.input.dtype, dims: [n, ...fit.shape], data: asType(out, fit.input.dtype) };
      }
      return { inputs: made, targets: await targets(indices) };
    },
  };
}

/**
 * Holds the labels against the outputs of a model. One output tells two classes apart.
 * @throws CgesError DATA_LABELS for a class that the model does not have
 */
export function checkLabels(dataset: Dataset, classes: number): void {
  const { labels } = dataset;
  if (!labels) return;
  const limit = classes === 1 ? 2 : classes;
  const at = labels.findIndex((label) => label < 0 || label >= limit);
  if (at < 0) return;
  let [least, most] = [labels[0], labels[0]];
  for (const label of labels) [least, most] = [Math.min(least, label), Math.max(most, label)];
  throw new CgesError(
    'DATA_LABELS',
    `sample ${at} has the label ${labels[at]}, the model has ${classes === 1 ? 'one output' : `${classes} outputs`}: classes 0…${limit - 1}`,
    {
      file: dataset.path,
      hint:
        least === 1 && most === classes
          ? 'the labels count from 1: subtract 1 from them'
          : `the labels run from ${least} to ${most}: check the label column, or whether data and model belong together`,
    },
  );
}

interface Filler {
  readonly fit: Fit;
  /** Writes sample `sample`, row `k` of the request, to place `k` of the batch. */
  fill(out: Float32Array, k: number, rows: Rows, sample: number, augment: Augment | undefined): void;
}

function filler(fit: Fit, { scale, mean, std }: Preprocessing, path: string): Filler {
  const { geometry, elements, source } = fit;
  const of = (values: readonly number[], i: number) => values[values.length === 1 ? 0 : i];
  const fits = (count: number) => [mean, std].every((values) => values.length === 1 || values.length === count);
  const perChannel = geometry !== undefined && fits(geometry.channels);
  if (!perChannel && !fits(elements)) {
    const wanted = geometry ? `${geometry.channels} channels` : `${elements} values`;
    throw new CgesError(
      'DATA_SHAPE',
      `the preprocessing has ${Math.max(mean.length, std.length)} means or deviations, a sample has ${wanted}`,
      {
        file: path,
        value: fit.input.name,
        hint: '--mean and --std take one number, or one per channel',
      },
    );
  }
  if (perChannel) {
    const channels = Array.from({ length: geometry.channels }, (_, c) => c);
    const a = Float64Array.from(channels, (c) => scale / of(std, c));
    const b = Float64Array.from(channels, (c) => -of(mean, c) / of(std, c));
    const tables = channels.map((c) =>
      Float32Array.from({ length: 256 }, (_, raw) => (raw * scale - of(mean, c)) / of(std, c)),
    );
    return {
      fit,
      fill(out, k, { data, offsets }, sample, augment) {
        const move = augment && moveOf(augment, sample, geometry.height, geometry.width);
        if (data instanceof Uint8Array) fillBytes(out, k * elements, data, offsets[k], geometry, tables, move);
        else fillNumbers(out, k * elements, data, offsets[k], geometry, a, b, move);
      },
    };
  }
  const count = mean.length === 1 && std.length === 1 ? 1 : source.elements;
  const a = Float64Array.from({ length: count }, (_, i) => scale / of(std, i));
  const b = Float64Array.from({ length: count }, (_, i) => -of(mean, i) / of(std, i));
  return {
    fit,
    fill: (out, k, { data, offsets }) => fillVector(out, k * elements, data, offsets[k], elements, a, b),
  };
}

function asType(values: Float32Array, dtype: DType): TensorData {
  switch (dtype) {
    case 'float32':
      return values;
    case 'float16':
      return float32ToFloat16(values);
    case 'float64':
      return Float64Array.from(values);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values, (x) => Math.min(255, Math.max(0, Math.round(x))));
    case 'int8':
      return Int8Array.from(values, (x) => Math.min(127, Math.max(-128, Math.round(x))));
    case 'int32':
      return Int32Array.from(values, Math.round);
    case 'int64':
      return BigInt64Array.from(values, (x) => BigInt(Math.round(x)));
    default:
      throw new CgesError('DATA_SHAPE', `inputs of type ${dtype} cannot be fed from data`, {
        hint: 'the model needs float, int or uint8 inputs',
      });
  }
}

function isPreprocessing(given: Preprocessing | Readonly<Record<string, Preprocessing>>): given is Preprocessing {
  return typeof given.scale === 'number' && Array.isArray(given.mean);
}
