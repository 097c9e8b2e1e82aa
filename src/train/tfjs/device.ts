import type { TfjsBinding } from '../../runtime/tfjs.js';
import type { Tensor } from '../../tensor/tensor.js';

/** Element types on the device: TensorFlow.js knows no int64, whole numbers are held as int32. */
export type Kind = 'float32' | 'int32' | 'bool';

/** Numbers of TensorFlow's element types. */
const codes: Readonly<Record<Kind, number>> = { float32: 1, int32: 3, bool: 10 };

/** Numbers of TensorFlow's attribute types. */
const attributeTypes = { string: 0, int: 1, float: 2, bool: 3, type: 4 } as const;

/** Attributes of a TensorFlow operator; plain numbers are integers. */
export type OpAttributes = Readonly<
  Record<string, string | boolean | number | readonly number[] | { readonly float: number } | { readonly type: Kind }>
>;

export type Elements = Float32Array | Int32Array | Uint8Array;

/** TensorFlow's eager operators over handles of tensors; whoever is given a handle frees it. */
export class Device {
  constructor(private readonly binding: TfjsBinding) {}

  /** @returns attributes in the form that `execute` takes, to be made once. */
  attributes(of: OpAttributes): readonly object[] {
    return Object.entries(of).map(([name, value]) => {
      if (typeof value === 'string') return { name, type: attributeTypes.string, value };
      if (typeof value === 'boolean') return { name, type: attributeTypes.bool, value };
      if (typeof value === 'number' || Array.isArray(value)) return { name, type: attributeTypes.int, value };
      if ('float' in value) return { name, type: attributeTypes.float, value: value.float };
      if ('type' in value) return { name, type: attributeTypes.type, value: codes[value.type] };
      throw new TypeError(`attribute ${name} has a value of no known kind`);
    });
  }

  execute(op: string, attributes: readonly object[], inputs: readonly number[], outputs = 1): number[] {
    const made = this.binding.executeOp(op, attributes, inputs, outputs);
    return outputs === 1 ? [made[0].id] : made.map(({ id }) => id);
  }

  /** The elements may be shared with the tensor: they must not change while it lives. */
  upload(shape: readonly number[], data: Elements): number {
    const kind: Kind = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool';
    return this.binding.createTensor(shape, codes[kind], data);
  }

  download(id: number): Elements {
    return this.binding.tensorDataSync(id);
  }

  free(id: number): void {
    this.binding.deleteTensor(id);
  }

  /** @returns how many tensors live. */
  tensors(): number {
    return this.binding.getNumOfTensors();
  }
}

/** @returns how elements of an ONNX type are held on the device; undefined for types that are not. */
export function kindOf(dtype: Tensor['dtype']): Kind | undefined {
  switch (dtype) {
    case 'float32':
    case 'float64':
      return 'float32';
    case 'bool':
      return 'bool';
    case 'int8':
    case 'uint8':
    case 'int16':
    case 'uint16':
    case 'int32':
    case 'uint32':
    case 'int64':
      return 'int32';
    default:
      return undefined;
  }
}

const [LOWEST, HIGHEST] = [-(2n ** 31n), 2n ** 31n - 1n];

/** @returns the elements as the device holds them. */
export function elementsOf({ dtype, data }: Tensor): Elements {
  if (Array.isArray(data)) throw new TypeError('strings are not held on the device');
  if (dtype === 'bool') return data as Uint8Array;
  if (data instanceof Float32Array || data instanceof Int32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  if (data instanceof BigInt64Array) {
    const held = new Int32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const x = data[i];
      held[i] = Number(x < LOWEST ? LOWEST : x > HIGHEST ? HIGHEST : x);
    }
    return held;
  }
  if (data instanceof BigUint64Array) return Int32Array.from(data, Number);
  return Int32Array.from(data);
}
