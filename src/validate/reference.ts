import { readFileSync } from 'node:fs';
import { CgesError } from '../errors.js';
import type { TensorProto } from '../onnx/proto.js';
import { codeOf, type OnnxFile } from '../onnx/read.js';
import { setTensor, tensorDims } from '../onnx/tensors.js';
import { emptyData } from '../shape/feeds.js';
import { type DType, dtypeCodes, float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import { transpose } from '../tensor/transpose.js';

/*
 * Reference gradients: a JSON file that tells inputs and weights by the seeds that they are drawn from, and what the
 * gradients of Σ output · R come to, R drawn alike.
 */

/** Numbers that follow from a seed: shift + scale · [−1, 1), or whole ones below `vocab`. */
export interface Fill {
  readonly seed: number;
  readonly scale?: number;
  readonly shift?: number;
  readonly vocab?: number;
}

/** Norm and projections of a gradient. */
export interface Figures {
  readonly l2: number;
  readonly dot: readonly number[];
}

/** What one gradient must come to. */
export interface ReferenceGradient {
  readonly shape: readonly number[];
  readonly l2: number;
  /** Its products with tensors drawn from `dotSeeds`. */
  readonly dot: readonly number[];
  /** Relative difference of the reference's own float32 and float64 gradients. */
  readonly noise?: number;
  /** The given gradient is the sum over these initializers: folding had made several of one tied weight. */
  readonly sumOver?: readonly { readonly name: string; readonly transposed: boolean }[];
}

export interface Reference {
  readonly inputs?: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: DType;
    readonly fill: Fill;
  }[];
  /** The order that `rSeeds` follows; without it, that of the model's outputs. */
  readonly outputs?: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly grad?: {
    readonly loss?: number;
    /** One per output, `null` where the loss leaves it out. */
    readonly rSeeds: readonly (number | null)[];
    readonly dotSeeds: readonly number[];
    readonly params: Readonly<Record<string, ReferenceGradient>>;
  };
}

/**
 * Reads a reference. Gradients stand under `grad`, or (as `check-gradients --json` writes them) beside everything else.
 *
 * **Throws** DATA_NOT_FOUND, DATA_INVALID.
 */
export function readReference(path: string): Reference {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CgesError('DATA_NOT_FOUND', `the reference cannot be read (${codeOf(cause)})`, { file: path, cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, 'the reference is no JSON', cause);
  }
  if (!isRecord(json)) throw invalid(path, 'the reference is no object');
  const { inputs, outputs } = json;
  if (!isListOf(inputs, isInput)) throw invalid(path, 'inputs must be a list of { name, shape, dtype, fill }');
  if (!isListOf(outputs, isPort)) throw invalid(path, 'outputs must be a list of { name, shape }');
  const grad = json.grad ?? ('params' in json && 'rSeeds' in json ? json : undefined);
  if (grad !== undefined) checkGradients(path, grad);
  return { inputs, outputs, grad } as Reference;
}

/** @returns the inputs that a reference is for. */
export function referenceInputs({ inputs = [] }: Reference): Record<string, Tensor> {
  return Object.fromEntries(
    inputs.map(({ name, shape, dtype, fill }) => [name, { dtype, dims: shape, data: inputData(shape, dtype, fill) }]),
  );
}

/** @returns `size` numbers, shift + scale · [−1, 1), that follow from the seed alone; rounded to float32. */
export function filled(size: number, { seed, scale = 1, shift = 0 }: Fill): Float32Array {
  const data = new Float32Array(size);
  for (let i = 0; i < size; i++) data[i] = scale * (mixed(i, seed) * 2 ** -31 - 1) + shift;
  return data;
}

/** @returns the model with the initializers whose external data lies at `@seeded` drawn from their seeds. */
export function withSeededWeights(file: OnnxFile): OnnxFile {
  const { graph } = file.model;
  if (!graph.initializer.some(isSeeded)) return file;
  const initializer = graph.initializer.map((t) => (isSeeded(t) ? drawn(t) : t));
  return { ...file, bytes: new Uint8Array(), model: { ...file.model, graph: { ...graph, initializer } } };
}

function isSeeded(tensor: TensorProto): boolean {
  return tensor.externalData.some((e) => e.key === 'location' && e.value === '@seeded');
}

function drawn(tensor: TensorProto): TensorProto {
  const told = Object.fromEntries(tensor.externalData.map((e) => [e.key, e.value]));
  const dims = tensorDims(tensor);
  const data = filled(sizeOf(dims), {
    seed: Number(told.seed),
    scale: Number(told.scale),
    shift: Number(told.shift ?? 0),
  });
  const proto = { ...tensor };
  const turned = told.transposed === '1';
  setTensor(proto, turned ? transpose(float32(dims.toReversed(), data), [1, 0]) : float32(dims, data));
  return proto;
}

function inputData(shape: readonly number[], dtype: DType, fill: Fill): Tensor['data'] {
  const size = sizeOf(shape);
  if (dtype === 'float32') return filled(size, fill);
  const data = emptyData(dtype, size);
  const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < size; i++) {
    const x = mixed(i, fill.seed) % (fill.vocab ?? 1);
    if (big) data[i] = BigInt(x);
    else data[i] = x;
  }
  return data;
}

/** MurmurHash3's finaliser (32 bits) over a Weyl sequence. */
function mixed(i: number, seed: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function checkGradients(path: string, grad: unknown): void {
  if (!isRecord(grad) || !isRecord(grad.params)) throw invalid(path, 'the gradients (params) are missing');
  const { rSeeds, dotSeeds, loss } = grad;
  if (!Array.isArray(rSeeds) || !rSeeds.every((s) => s === null || isNumber(s))) {
    throw invalid(path, 'rSeeds must be a list of seeds, one for each output');
  }
  if (!Array.isArray(dotSeeds) || !dotSeeds.every(isNumber)) throw invalid(path, 'dotSeeds must be a list of seeds');
  if (loss !== undefined && !isNumber(loss)) throw invalid(path, 'the loss is no number');
  for (const [name, given] of Object.entries(grad.params)) {
    const { l2, dot, noise } = isRecord(given) ? given : {};
    const right = isNumber(l2) && Array.isArray(dot) && dot.length === dotSeeds.length && dot.every(isNumber);
    if (!right || (noise !== undefined && !isNumber(noise))) {
      throw invalid(
        path,
        `the gradient of '${name}' must have l2 and one dot for each of dotSeeds, all of them numbers`,
      );
    }
  }
}

function isInput(x: unknown): boolean {
  return (
    isPort(x) &&
    isRecord(x) &&
    typeof x.dtype === 'string' &&
    x.dtype in dtypeCodes &&
    x.dtype !== 'string' &&
    isRecord(x.fill) &&
    isNumber(x.fill.seed)
  );
}

function isPort(x: unknown): boolean {
  return isRecord(x) && typeof x.name === 'string' && Array.isArray(x.shape) && x.shape.every(isNumber);
}

function isListOf(x: unknown, is: (entry: unknown) => boolean): boolean {
  return x === undefined || (Array.isArray(x) && x.every(is));
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === 'object' && x !== null && !Array.isArray(x);
}

function isNumber(x: unknown): x is number {
  return typeof x === 'number' && Number.isFinite(x);
}

function invalid(file: string, what: string, cause?: unknown): CgesError {
  return new CgesError('DATA_INVALID', what, {
    file,
    hint: 'the reference holds inputs (name, shape, dtype, fill) and grad: { loss, rSeeds, dotSeeds, params }',
    ...(cause !== undefined && { cause }),
  });
}
