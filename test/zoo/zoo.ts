import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TensorProto } from '../../src/onnx/proto.js';
import { decodeModel, type OnnxFile } from '../../src/onnx/read.js';
import { tensorDims } from '../../src/onnx/tensors.js';
import { type DType, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

/*
 * Real architectures whose weights are drawn from seeds, with reference outputs and gradients of another framework.
 * They lie beside the project where there are any.
 */

const folder = fileURLToPath(new URL('../../../shared/zoo/', import.meta.url));

/** Why the zoo cannot be used, or undefined. */
export const missing = existsSync(`${folder}INDEX.md`) ? undefined : `there is no model zoo at ${folder}`;

/** What the neighbouring file tells of a model. */
export interface Reference {
  readonly inputs: readonly { name: string; shape: number[]; dtype: DType; fill: Fill }[];
  readonly outputs: readonly { name: string; shape: number[] }[];
  readonly grad?: {
    readonly rSeeds: readonly (number | null)[];
    readonly dotSeeds: readonly number[];
    readonly params: Readonly<Record<string, ReferenceGradient>>;
  };
}

interface ReferenceGradient {
  readonly shape: readonly number[];
  readonly l2: number;
  readonly dot: readonly number[];
  readonly noise?: number;
  /** The initializers that one tied parameter became: the gradient is the sum of theirs. */
  readonly sumOver?: readonly { name: string; transposed: boolean }[];
}

interface Fill {
  readonly seed: number;
  readonly scale?: number;
  readonly shift?: number;
  readonly vocab?: number;
}

export interface ZooModel {
  readonly file: OnnxFile;
  readonly reference: Reference;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** @returns a complete model of the zoo, with its inputs. */
export function zooModel(name: string): ZooModel {
  const file = decodeModel(readFileSync(`${folder}${name}.onnx`), `${name}.onnx`);
  const reference: Reference = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8'));
  for (const t of file.model.graph.initializer) fillIn(t);
  const feeds = Object.fromEntries(
    reference.inputs.map((i) => [i.name, { dtype: i.dtype, dims: i.shape, data: inputData(i) }]),
  );
  return { file, reference, feeds };
}

/** @returns `size` numbers, shift + scale · [−1, 1), that follow from the seed alone. */
export function filled(size: number, { seed, scale = 1, shift = 0 }: Fill): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.fround(scale * (mixed(i, seed) * 2 ** -31 - 1)) + shift);
}

function inputData({ shape, dtype, fill }: Reference['inputs'][number]): Float32Array | BigInt64Array {
  const size = sizeOf(shape);
  if (dtype === 'float32') return filled(size, fill);
  return BigInt64Array.from({ length: size }, (_, i) => BigInt(mixed(i, fill.seed) % (fill.vocab ?? 1)));
}

function fillIn(tensor: TensorProto): void {
  const told = Object.fromEntries(tensor.externalData.map((e) => [e.key, e.value]));
  if (told.location !== '@seeded') return;
  const dims = tensorDims(tensor);
  const fill = { seed: Number(told.seed), scale: Number(told.scale), shift: Number(told.shift ?? 0) };
  const data = filled(sizeOf(dims), fill);
  const final = told.transposed === '1' ? transposed(data, dims[1], dims[0]) : data;
  tensor.rawData = new Uint8Array(final.buffer);
  tensor.externalData = [];
  tensor.dataLocation = 0;
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}

function mixed(i: number, seed: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
