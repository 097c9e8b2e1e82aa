import { CgesError } from '../errors.js';
import { type DType, dtypeCodes, dtypeOf, sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js';
import { toNumber } from './attributes.js';
import { locateExternal, readExternal } from './external.js';
import type { Int64, TensorProto } from './proto.js';

/** Bytes of one element, complex numbers as pairs; 4-bit types are packed two to a byte. */
const elementBytes: Readonly<Record<DType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  string: 0,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
  complex64: 8,
  complex128: 16,
  bfloat16: 2,
  float8e4m3fn: 1,
  float8e4m3fnuz: 1,
  float8e5m2: 1,
  float8e5m2fnuz: 1,
  uint4: 0.5,
  int4: 0.5,
  float4e2m1: 0.5,
  float8e8m0: 1,
};

/** @returns the bytes that a dense tensor's contents take (0 for strings). */
export function byteSizeOf(dtype: DType, dims: readonly number[]): number {
  return Math.ceil(sizeOf(dims) * elementBytes[dtype]);
}

/** @returns the element type of a tensor message. Throws MODEL_INVALID for one that this version does not know. */
export function tensorType(proto: TensorProto): DType {
  const dtype = dtypeOf(proto.dataType);
  if (dtype) return dtype;
  throw invalid(proto, `element type ${proto.dataType} is not known`);
}

/** @returns the shape of a tensor message. */
export function tensorDims(proto: TensorProto): number[] {
  const dims = proto.dims.map(toNumber);
  if (dims.every((d) => d >= 0 && Number.isSafeInteger(d))) return dims;
  throw invalid(proto, `shape [${dims}] is not possible`);
}

/**
 * The contents of a tensor message: a view of its bytes where they are aligned for their type, else a copy. External
 * data is read from `folder`, this tensor's range only.
 *
 * Storage: as {@link TensorData}; complex numbers are pairs of floats; 4-bit types stay packed, low nibble first.
 *
 * Throws MODEL_INVALID where contents and shape disagree, MODEL_EXTERNAL_DATA.
 */
export function tensorOf(proto: TensorProto, folder?: string): Tensor {
  const dtype = tensorType(proto);
  const dims = tensorDims(proto);
  if (dtype === 'string') return { dtype, dims, data: strings(proto, sizeOf(dims)) };
  const bytes = byteSizeOf(dtype, dims);
  if (isExternal(proto)) {
    return { dtype, dims, data: viewAs(dtype, readExternal(locateExternal(proto, bytes, folder))) };
  }
  if (Object.hasOwn(proto, 'rawData') && proto.rawData !== undefined && (proto.rawData.length > 0 || !isTyped(proto))) {
    if (proto.rawData.length !== bytes) {
      throw invalid(proto, `${proto.rawData.length} bytes of contents, but ${dtype}[${dims}] takes ${bytes}`);
    }
    return { dtype, dims, data: viewAs(dtype, proto.rawData) };
  }
  const data = typedData(proto, dtype);
  if (data.byteLength !== bytes) {
    throw invalid(proto, `contents of ${data.byteLength} bytes, but ${dtype}[${dims}] takes ${bytes}`);
  }
  return { dtype, dims, data };
}

/** Gives a tensor message other contents; its name, documentation and metadata stay. No copy: the bytes are shared. */
export function setTensor(proto: TensorProto, tensor: Tensor): void {
  proto.dims = [...tensor.dims];
  proto.dataType = dtypeCodes[tensor.dtype];
  clearContents(proto);
  if (Array.isArray(tensor.data)) proto.stringData = tensor.data.map((s) => new TextEncoder().encode(s));
  else proto.rawData = bytesOf(tensor.data);
}

/** Removes a tensor message's contents, in whatever form they are. */
export function clearContents(proto: TensorProto): void {
  proto.floatData = [];
  proto.int32Data = [];
  proto.int64Data = [];
  proto.doubleData = [];
  proto.uint64Data = [];
  proto.stringData = [];
  proto.externalData = [];
  delete proto.rawData;
  delete proto.dataLocation;
  delete proto.segment;
}

/** Whether the contents lie in another file. */
export function isExternal(proto: TensorProto): boolean {
  return proto.dataLocation === 1;
}

/** @returns the bytes that a tensor's contents take in the model file itself (an estimate for typed ones, from above). */
export function inlineBytes(proto: TensorProto): number {
  let size = proto.rawData?.length ?? 0;
  size += proto.floatData.length * 4 + proto.doubleData.length * 8;
  size += (proto.int32Data.length + proto.int64Data.length + proto.uint64Data.length) * 10;
  for (const s of proto.stringData) size += s.length + 6;
  return size;
}

export function bytesOf(data: Exclude<TensorData, string[]>): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** @returns little-endian bytes as elements of `dtype`. Their number must be a whole number of elements. */
export function viewAs(dtype: Exclude<DType, 'string'>, bytes: Uint8Array): Exclude<TensorData, string[]> {
  const View: TypedArrayClass = storage[dtype];
  // Typed arrays start at multiples of their element size; weights in a file lie anywhere.
  const at = bytes.byteOffset % View.BYTES_PER_ELEMENT === 0 ? bytes : alignedCopy(bytes);
  return new View(at.buffer, at.byteOffset, at.byteLength / View.BYTES_PER_ELEMENT);
}

const alignedCopies = new WeakMap<Uint8Array, Uint8Array>();

/** Weights are looked at again and again: the same bytes are copied once. */
function alignedCopy(bytes: Uint8Array): Uint8Array {
  const known = alignedCopies.get(bytes);
  if (known) return known;
  const copy = new Uint8Array(bytes);
  alignedCopies.set(bytes, copy);
  return copy;
}

interface TypedArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Exclude<TensorData, string[]>;
}

const storage = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  complex64: Float32Array,
  complex128: Float64Array,
  bfloat16: Uint16Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  uint4: Uint8Array,
  int4: Uint8Array,
  float4e2m1: Uint8Array,
  float8e8m0: Uint8Array,
} as const satisfies Record<Exclude<DType, 'string'>, unknown>;

function isTyped(proto: TensorProto): boolean {
  const { floatData, int32Data, int64Data, doubleData, uint64Data } = proto;
  return [floatData, int32Data, int64Data, doubleData, uint64Data].some((list) => list.length > 0);
}

/** The typed form: each element type has one list that it is kept in; narrow ones share `int32Data`, as bit patterns. */
function typedData(proto: TensorProto, dtype: Exclude<DType, 'string'>): Exclude<TensorData, string[]> {
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return Float32Array.from(proto.floatData);
    case 'float64':
    case 'complex128':
      return Float64Array.from(proto.doubleData);
    case 'int64':
      return BigInt64Array.from(proto.int64Data, toBigInt);
    case 'uint64':
      return BigUint64Array.from(proto.uint64Data, toBigInt);
    case 'uint32':
      return Uint32Array.from(proto.uint64Data, toNumber);
    default:
      return storage[dtype].from(proto.int32Data);
  }
}

function toBigInt(value: Int64): bigint {
  return typeof value === 'number' ? BigInt(value) : BigInt(value.toString());
}

function strings(proto: TensorProto, count: number): string[] {
  if (proto.stringData.length !== count) {
    throw invalid(proto, `${proto.stringData.length} strings, but the shape has ${count}`);
  }
  return proto.stringData.map((s) => new TextDecoder().decode(s));
}

function invalid(proto: TensorProto, what: string): CgesError {
  return new CgesError('MODEL_INVALID', `tensor '${proto.name ?? ''}': ${what}`, { value: proto.name });
}
