/** Names of ONNX element types, as `TensorProto.DataType` spells them in lower case (`float` is float32). */
export const dtypeCodes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
} as const;

export type DType = keyof typeof dtypeCodes;

const dtypeNames = new Map<number, DType>(Object.entries(dtypeCodes).map(([name, code]) => [code, name as DType]));

/** @returns the name of an ONNX element type, or undefined for one that this version does not know. */
export function dtypeOf(code: number): DType | undefined {
  return dtypeNames.get(code);
}

/** Element storage: float16, bfloat16 as bit patterns in Uint16Array, bool and 4/8-bit types as bytes. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

/** A dense row-major array. `data` may be a view into a file's bytes: never write to one that you did not make. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type Numbers = Exclude<TensorData, string[]>;

/** @returns zeroed storage of the same kind. */
export function blank(like: Numbers, size: number): Numbers {
  return new (like.constructor as new (size: number) => Numbers)(size);
}

/** @returns the number of elements of a shape (1 for a scalar). */
export function sizeOf(dims: readonly number[]): number {
  let size = 1;
  for (const d of dims) size *= d;
  return size;
}

/** @returns row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return strides;
}

export function float32(dims: readonly number[], data: Float32Array | readonly number[]): Tensor {
  return { dtype: 'float32', dims, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

export function int64(dims: readonly number[], data: readonly number[]): Tensor {
  return { dtype: 'int64', dims, data: BigInt64Array.from(data, (x) => BigInt(x)) };
}

export function int32(dims: readonly number[], data: Int32Array | readonly number[]): Tensor {
  return { dtype: 'int32', dims, data: data instanceof Int32Array ? data : Int32Array.from(data) };
}

export function bool(dims: readonly number[], data: readonly boolean[]): Tensor {
  return { dtype: 'bool', dims, data: Uint8Array.from(data, Number) };
}
