import { CgesError } from '../../errors.js';
import type { TfjsBinding } from '../../runtime/tfjs.js';
import type { Tensor } from '../../tensor/tensor.js';

/** Element types on the device: TensorFlow.js knows no int64, whole numbers are held as int32. */
export type Kind = 'float32' | 'int32' | 'bool';

/** Element types of TensorFlow: those of values, and lists of tensors. */
export type TypeName = Kind | 'variant';

/** Their numbers. */
export const typeCodes: Readonly<Record<TypeName, number>> = { float32: 1, int32: 3, bool: 10, variant: 21 };

/** What graphs on disk are marked with, to be loaded. */
export const SAVED_MODEL_TAG = 'serve';

/** Numbers of TensorFlow's attribute types. */
const attributeTypes = { string: 0, int: 1, float: 2, bool: 3, type: 4 } as const;

/** Attributes of a TensorFlow operator; plain numbers are integers. */
export type OpAttributes = Readonly<
  Record<
    string,
    string | boolean | number | readonly number[] | { readonly float: number } | { readonly type: TypeName }
  >
>;

export function isList(value: OpAttributes[string]): value is readonly number[] {
  return Array.isArray(value);
}

export type Elements = Float32Array | Int32Array | Uint8Array;

/** TensorFlow's operators and graphs over handles of tensors; whoever is given a handle frees it. */
export class Device {
  constructor(private readonly binding: TfjsBinding) {}

  execute(op: string, attributes: OpAttributes, inputs: readonly number[], outputs = 1): number[] {
    return this.binding.executeOp(op, attributesOf(attributes), inputs, outputs).map(({ id }) => id);
  }

  /**
   * @returns the number of a session that runs the graph in `folder`
   *
   * **Throws** PROVIDER_UNAVAILABLE where TensorFlow does not take it.
   */
  openSession(folder: string): number {
    return answered(() => this.binding.loadSavedModel(folder, SAVED_MODEL_TAG));
  }

  /**
   * @param names of what is fed, `node` or `node:output`
   * @param fed handles, which stay the caller's
   * @returns handles of what is fetched
   *
   * **Throws** PROVIDER_UNAVAILABLE where an operator fails, as for want of memory.
   */
  runSession(session: number, names: readonly string[], fed: readonly number[], fetched: readonly string[]): number[] {
    const list = (refs: readonly string[]): string => refs.map((r) => (r.includes(':') ? r : `${r}:0`)).join();
    return answered(() => this.binding.runSavedModel(session, fed, list(names), list(fetched))).map(({ id }) => id);
  }

  closeSession(session: number): void {
    this.binding.deleteSavedModel(session);
  }

  /** The elements may be shared with the tensor: they must not change while it lives. */
  upload(shape: readonly number[], data: Elements): number {
    const kind: Kind = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool';
    return this.binding.createTensor(shape, typeCodes[kind], data);
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

function answered<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const [why] = (cause as Error).message.split('\n');
    throw new CgesError('PROVIDER_UNAVAILABLE', `TensorFlow does not run the training step: ${why}`, {
      hint: 'where memory is short, give a smaller --batch; else --engine onnxruntime',
      cause,
    });
  }
}

function attributesOf(of: OpAttributes): object[] {
  return Object.entries(of).map(([name, value]) => {
    if (typeof value === 'string') return { name, type: attributeTypes.string, value };
    if (typeof value === 'boolean') return { name, type: attributeTypes.bool, value };
    if (typeof value === 'number' || isList(value)) return { name, type: attributeTypes.int, value };
    if ('float' in value) return { name, type: attributeTypes.float, value: value.float };
    return { name, type: attributeTypes.type, value: typeCodes[value.type] };
  });
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
