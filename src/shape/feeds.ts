import { CgesError } from '../errors.js';
import { toNumber } from '../onnx/attributes.js';
import type { GraphProto } from '../onnx/proto.js';
import { Random } from '../tensor/random.js';
import { type DType, dtypeOf, sizeOf, stridesOf, type Tensor, type TensorData } from '../tensor/tensor.js';

/** An input that a caller must feed (an initializer that an old file lists as input is none). */
export interface FreeInput {
  readonly name: string;
  readonly dtype: DType;
  /** Literal sizes, or the symbol of a free axis (made up where the file gives none). */
  readonly dims: readonly (number | string)[];
  readonly batchAxis?: number;
  /** What all elements of an integer input are where it is not sampled; absent: drawn from 0 and 1. */
  readonly fill?: number;
}

const batchLike = /^(n|b|bs|.*batch.*)$/i;

/** @returns the model's inputs, and which of their free axes is the batch. */
export function freeInputs(graph: GraphProto): FreeInput[] {
  const constants = new Set(graph.initializer.map((t) => t.name ?? ''));
  const inputs = graph.input.filter((info) => !constants.has(info.name)).map(declared);
  const symbols = new Set(inputs.flatMap((i) => i.dims.filter((d) => typeof d === 'string')));
  const named = [...symbols].filter((s) => batchLike.test(s));
  // Without a telling name, the first axis is the batch wherever it is free.
  const isBatch = (symbol: number | string, axis: number) =>
    typeof symbol === 'string' && (named.length > 0 ? named.includes(symbol) : axis === 0);
  return inputs.map((input) => {
    const at = input.dims.findIndex(isBatch);
    return at < 0 ? input : { ...input, batchAxis: at };
  });
}

/** Integers that a model may insist on: a class, a step, a sampling rate. */
const fills = [1, 0, 2, 16000] as const;

/**
 * @returns the inputs, then other readings of them for a model that does not run on the first: outside, integers that are
 * all the same; inside, the middle axis of [2, ?, 128] as the batch (a recurrent state).
 */
export function readings(inputs: readonly FreeInput[]): (readonly FreeInput[])[][] {
  const states = inputs.map((input) => {
    const [layers, batch] = input.dims;
    const isState = input.batchAxis === undefined && input.dims.length === 3 && typeof layers === 'number';
    return isState && typeof batch === 'string' ? { ...input, batchAxis: 1 } : input;
  });
  const shapes = states.some((input, i) => input !== inputs[i]) ? [inputs, states] : [inputs];
  if (!inputs.some(isInteger)) return [shapes];
  return [shapes, ...fills.map((fill) => shapes.map((list) => list.map((i) => (isInteger(i) ? { ...i, fill } : i))))];
}

export function isInteger({ dtype }: Pick<FreeInput, 'dtype'>): boolean {
  return /^u?int\d+$/.test(dtype);
}

function declared(info: GraphProto['input'][number]): FreeInput {
  const tensor = info.type?.tensorType;
  const dtype = dtypeOf(tensor?.elemType ?? 0);
  if (!dtype) throw new CgesError('MODEL_UNRUNNABLE', 'an input that is no tensor cannot be fed', { value: info.name });
  const dims = (tensor?.shape?.dim ?? []).map((d, axis) => {
    const size = d.dimValue === undefined || d.dimValue === null ? 0 : toNumber(d.dimValue);
    return size > 0 ? size : d.dimParam || `${info.name}:${axis}`;
  });
  return { name: info.name, dtype, dims };
}

/** Sizes for the free axes of all inputs, by symbol; the batch aside. */
export type Sizes = ReadonlyMap<string, number>;

/** @returns the shape of an input at this batch and these sizes. */
export function shapeAt(input: FreeInput, batch: number, sizes: Sizes): number[] {
  return input.dims.map((d, axis) =>
    axis === input.batchAxis ? batch : typeof d === 'number' ? d : (sizes.get(d) ?? 1),
  );
}

/** @returns a value for each input: rows of the given samples where they fit, else numbers drawn from the seed. */
export function makeFeeds(
  inputs: readonly FreeInput[],
  batch: number,
  sizes: Sizes,
  seed: number,
  samples: Readonly<Record<string, Tensor>> = {},
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  inputs.forEach((input, i) => {
    const shape = shapeAt(input, batch, sizes);
    const sample = samples[input.name];
    feeds[input.name] =
      (sample && repeatRows(sample, shape, input.batchAxis)) ??
      (input.fill === undefined
        ? draw(input.dtype, shape, Random.stream(seed, i))
        : filledWith(input.fill, input.dtype, shape));
  });
  return feeds;
}

function filledWith(value: number, dtype: DType, shape: readonly number[]): Tensor {
  const data = emptyData(dtype, sizeOf(shape));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(value));
  else data.fill(value);
  return { dtype, dims: shape, data };
}

/** @returns rows of the sample, over and over until the batch is full; undefined where another axis differs. */
function repeatRows(sample: Tensor, shape: readonly number[], batchAxis = -1): Tensor | undefined {
  const fits = sample.dims.length === shape.length && shape.every((d, a) => a === batchAxis || d === sample.dims[a]);
  if (!fits || Array.isArray(sample.data)) return undefined;
  if (batchAxis < 0 || sample.dims[batchAxis] === shape[batchAxis]) return sample;
  const rows = sample.dims[batchAxis];
  const block = stridesOf(shape)[batchAxis];
  const outer = sizeOf(shape.slice(0, batchAxis));
  const data = emptyData(sample.dtype, sizeOf(shape)) as Float32Array;
  const from = sample.data as Float32Array;
  for (let o = 0; o < outer; o++) {
    for (let r = 0; r < shape[batchAxis]; r++) {
      const start = (o * rows + (r % rows)) * block;
      data.set(from.subarray(start, start + block), (o * shape[batchAxis] + r) * block);
    }
  }
  return { dtype: sample.dtype, dims: shape, data };
}

/** @returns floats in [0, 1), integers 0 or 1, true or false. */
export function draw(dtype: DType, shape: readonly number[], random: Random): Tensor {
  const size = sizeOf(shape);
  if (dtype === 'string') return { dtype, dims: shape, data: new Array<string>(size).fill('') };
  const data = emptyData(dtype, size);
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let i = 0; i < size; i++) data[i] = random.uniform();
  } else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < size; i++) data[i] = BigInt(random.below(2));
  } else if (dtype === 'float16') {
    // 0x3800 is 0.5; the lower bits spread the numbers over [0.5, 1).
    for (let i = 0; i < size; i++) (data as Uint16Array)[i] = 0x3800 + random.below(0x400);
  } else {
    for (let i = 0; i < size; i++) (data as Uint8Array)[i] = random.below(2);
  }
  return { dtype, dims: shape, data };
}

/** @returns zeroed storage for `size` elements of a type. */
export function emptyData(dtype: DType, size: number): Exclude<TensorData, string[]> {
  switch (dtype) {
    case 'float32':
      return new Float32Array(size);
    case 'float64':
      return new Float64Array(size);
    case 'int64':
      return new BigInt64Array(size);
    case 'uint64':
      return new BigUint64Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'uint32':
      return new Uint32Array(size);
    case 'int16':
      return new Int16Array(size);
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return new Uint16Array(size);
    case 'int8':
      return new Int8Array(size);
    default:
      return new Uint8Array(size);
  }
}
