import { existsSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { CgesError } from '../errors.js';
import { emptyData, type FreeInput } from '../shape/feeds.js';
import { isFloat, fromFloat32 } from '../tensor/half.js';
import type { DType, Tensor } from '../tensor/tensor.js';
import type { StoredArray } from './arrays.js';
import { readBytes } from './bytes.js';
import type { RawArray } from './dataset.js';
import { decodeElements } from './elements.js';
import { parseNpy } from './npy.js';

/**
 * Reads sample inputs: arrays of an NPZ file, named like the model's inputs and in their shapes, batch included. Inputs
 * that the file leaves out are not in the answer.
 *
 * **Throws** DATA_NOT_FOUND, DATA_INVALID, DATA_SHAPE.
 */
export async function readInputs(file: string, inputs: readonly FreeInput[]): Promise<Record<string, Tensor>> {
  const known = `the model's inputs are ${inputs.map((i) => `${i.name} ${i.dtype} [${i.dims.join(', ')}]`).join('; ')}`;
  const tensors: Record<string, Tensor> = {};
  const sizes = new Map<string, number>();
  for (const [name, stored] of await readNpz(file)) {
    const input = inputs.find((i) => i.name === name);
    if (!input)
      throw new CgesError('DATA_SHAPE', `the model has no input '${name}'`, { file, value: name, hint: known });
    const fits =
      stored.shape.length === input.dims.length && input.dims.every((d, axis) => agrees(d, stored.shape[axis]));
    if (!fits) {
      throw new CgesError('DATA_SHAPE', `the array '${name}' [${stored.shape.join(', ')}] does not fit its input`, {
        file,
        value: name,
        hint: `${known}; a name stands for one size in all of them`,
      });
    }
    const data = decodeElements(await stored.load(), stored.type, stored.littleEndian);
    tensors[name] = { dtype: input.dtype, dims: stored.shape, data: converted(data, stored.shape, input, file) };
  }
  return tensors;

  function agrees(declared: number | string, size: number): boolean {
    if (typeof declared === 'number') return declared === size;
    const bound = sizes.get(declared);
    if (bound === undefined) sizes.set(declared, size);
    return size > 0 && (bound ?? size) === size;
  }
}

/** @returns the arrays of an NPZ file by name, undecoded. */
async function readNpz(file: string): Promise<Map<string, StoredArray>> {
  if (!existsSync(file)) {
    throw new CgesError('DATA_NOT_FOUND', 'there is no such file', {
      file,
      hint: "save the inputs with numpy.savez(file, **{'input name': array})",
    });
  }
  const hint = "save it with numpy.savez(file, **{'input name': array})";
  let members: Record<string, Uint8Array>;
  try {
    members = unzipSync(await readBytes(file), { filter: ({ name }) => name.endsWith('.npy') });
  } catch (cause) {
    throw new CgesError('DATA_INVALID', 'the file is no NPZ file, or damaged', { file, hint, cause });
  }
  const arrays = Object.entries(members).map(([member, bytes]) => {
    const name = member.slice(0, -'.npy'.length);
    const load = async (start: number, count: number) => bytes.subarray(start, start + count);
    return [name, parseNpy(bytes, { file, name, size: bytes.length, load, inMemory: true })] as const;
  });
  if (arrays.length === 0) throw new CgesError('DATA_INVALID', 'the NPZ file holds no arrays', { file, hint });
  return new Map(arrays);
}

/** @returns numbers as an input's element type stores them. */
function converted(data: RawArray, dims: readonly number[], { name, dtype }: FreeInput, file: string): Tensor['data'] {
  const refuse = (what: string): never => {
    throw new CgesError('DATA_INVALID', `the array '${name}' ${what}`, { file, value: name });
  };
  if (dtype === 'string') return refuse('cannot be an input of strings');
  if (isFloat(dtype)) return fromFloat32(dims, Float32Array.from(data), dtype).data;
  const at = data.findIndex((x) => !Number.isSafeInteger(x));
  if (at >= 0) refuse(`holds ${data[at]} at position ${at}, but its input is ${dtype}`);
  return whole(data, dtype);
}

function whole(data: RawArray, dtype: DType): Tensor['data'] {
  const out = emptyData(dtype, data.length);
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) data.forEach((x, i) => (out[i] = BigInt(x)));
  else data.forEach((x, i) => (out[i] = x));
  return out;
}
