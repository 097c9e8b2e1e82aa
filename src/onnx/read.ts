import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CgesError } from '../errors.js';
import { toNumber } from './attributes.js';
import { tensorsFrom } from './graph.js';
import type { ModelProto } from './proto.js';
import { decodeMessage } from './schema.js';
import { noteStored } from './stored.js';

/** A model as it was read. `model` holds views into `bytes`: never write into them. */
export interface OnnxFile {
  /** The file it came from, or '' for one that came as bytes. */
  readonly path: string;
  /** The folder that external data is relative to, or '' where there is none. */
  readonly folder: string;
  /** Empty for a model that was changed, and for a large one, of which one copy is held: see `stored.ts`. */
  readonly bytes: Uint8Array;
  readonly model: ModelProto;
}

/** Protocol buffers end at 2 GiB: a larger model keeps its weights in external data. */
export const largestMessage = 2 ** 31 - 1;

/**
 * Reads an ONNX model. External data is not read: {@link tensorOf} reads what it is asked for.
 *
 * Throws MODEL_NOT_FOUND, MODEL_NOT_ONNX, MODEL_TRUNCATED, MODEL_INVALID.
 */
export function readModel(path: string): OnnxFile {
  const file = decodeModel(readBytes(path), path);
  const { model, bytes } = file;
  if (bytes.length < LARGE) return file;
  for (const { tensor } of tensorsFrom(model)) if (tensor.rawData) tensor.rawData = aligned(tensor.rawData);
  noteStored(model, { path, bytes: bytes.length });
  return { ...file, bytes: new Uint8Array() };
}

/** Files from this size on are not held as they are, beside their weights. */
const LARGE = 2 ** 25;

/** Where float32 numbers may begin in memory. */
const ALIGNMENT = 4;
/** Shorter contents have less than three bytes of tag and length before them. */
const SHORT = 128;

/** Moves the contents of a tensor to where numbers may begin: over their tag and length in the file, which are read already. */
function aligned(data: Uint8Array): Uint8Array {
  const shift = data.byteOffset % ALIGNMENT;
  if (shift === 0 || data.length < SHORT) return data;
  const place = new Uint8Array(data.buffer, data.byteOffset - shift, data.length);
  place.set(data);
  return place;
}

/** Reads an ONNX model from memory; `path` is where it came from, for messages and external data. */
export function decodeModel(bytes: Uint8Array, path = ''): OnnxFile {
  const place = path ? { file: path } : {};
  if (bytes.length === 0) throw notOnnx('the file is empty', place);
  const signature = signatureOf(bytes);
  if (signature) throw notOnnx(`this is ${signature.what}, not an ONNX model`, { ...place, hint: signature.hint });
  let model: ModelProto;
  try {
    model = decodeMessage(bytes);
  } catch (cause) {
    if (!isCutOff(bytes)) throw notOnnx('the file is not an ONNX model', { ...place, cause });
    throw new CgesError('MODEL_TRUNCATED', `the model ends in the middle of a record, after ${bytes.length} bytes`, {
      ...place,
      cause,
      hint: 'copy or download the file again',
    });
  }
  checkModel(model, place);
  return { path, folder: path ? dirname(resolve(path)) : '', bytes, model };
}

function readBytes(path: string): Uint8Array {
  const place = { file: path };
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw notOnnx('this is a folder, not an ONNX model', place);
    if (stat.size > largestMessage) {
      throw new CgesError('MODEL_INVALID', `${stat.size} bytes in one file: an ONNX file ends at 2 GiB`, {
        ...place,
        hint: 'save the model with its weights as external data',
      });
    }
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof CgesError) throw cause;
    const code = codeOf(cause);
    const what =
      code === 'ENOENT' || code === 'ENOTDIR' ? 'there is no such file' : `the file cannot be read (${code})`;
    throw new CgesError('MODEL_NOT_FOUND', `${what}: ${path}`, { ...place, cause });
  }
}

/** @returns the operating system's code of a failed call (`ENOENT`, …). */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

/** Almost any bytes parse as *some* message: holds the message to what every model has. */
function checkModel(model: ModelProto, place: { file?: string }): void {
  const ir = Object.hasOwn(model, 'irVersion') ? toNumber(model.irVersion!) : 0;
  if (ir < 1 || ir > 1000) throw notOnnx('the file is not an ONNX model: it names no IR version', place);
  if (!Object.hasOwn(model, 'graph')) throw notOnnx('the file is not an ONNX model: it holds no graph', place);
  if (model.graph.node.length === 0) throw notOnnx('the model has no nodes', place);
  if (model.graph.node.some((n) => n.opType === ''))
    throw notOnnx('the model has a node that names no operator', place);
  for (const { domain, version } of model.opsetImport) {
    const opset = toNumber(version ?? 0);
    if (opset >= 1 && opset <= 10_000) continue;
    throw new CgesError('MODEL_INVALID', `opset ${opset} of domain '${domain ?? ''}' is not possible`, place);
  }
  if (ir >= 3 && model.opsetImport.length === 0) {
    // Writers put the operator sets behind the graph.
    throw new CgesError('MODEL_TRUNCATED', 'the model names no operator set: it ends right after its graph', {
      ...place,
      hint: 'copy or download the file again',
    });
  }
}

function notOnnx(what: string, more: { file?: string; hint?: string; cause?: unknown }): CgesError {
  const hint = more.hint ?? 'give a file that was exported to ONNX (*.onnx)';
  return new CgesError('MODEL_NOT_ONNX', what, { ...more, hint });
}

/** What is often given in place of a model, by its first bytes. */
function signatureOf(bytes: Uint8Array): { what: string; hint?: string } | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 40));
  const pytorch = 'export it with torch.onnx.export first';
  if (start.startsWith('version https://git-lfs'))
    return { what: 'a Git LFS pointer', hint: 'fetch the file itself: git lfs pull' };
  if (start.startsWith('\x89PNG')) return { what: 'a PNG image' };
  if (start.startsWith('\xff\xd8\xff')) return { what: 'a JPEG image' };
  if (start.startsWith('PK\x03\x04')) return { what: 'a ZIP archive (PyTorch or Keras file?)', hint: pytorch };
  if (start.startsWith('\x89HDF')) return { what: 'an HDF5 file (Keras?)', hint: 'convert it with tf2onnx first' };
  if (start.startsWith('\x1f\x8b')) return { what: 'a gzip archive', hint: 'unpack it first' };
  if (start.startsWith('\x80\x02') || start.startsWith('\x80\x04')) return { what: 'a Python pickle', hint: pytorch };
  if (start.slice(4, 8) === 'TFL3') return { what: 'a TensorFlow Lite model', hint: 'convert it with tf2onnx first' };
  if (start.slice(4, 8) === 'ORTM')
    return { what: 'a model in ORT format', hint: 'give the ONNX file it was made from' };
  if (/^\s*<(!doctype|html|\?xml)/i.test(start)) return { what: 'a web page', hint: 'download the file itself' };
  return undefined;
}

/** The fields of ModelProto and their wire types. */
const modelFields = new Map([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26].map((id) => [id, id === 1 || id === 5 ? 0 : 2]));

/**
 * Tells a model that was cut off from something else: the records before the last one are those of a model, with a
 * plausible IR version among them, and the last one is longer than the file.
 */
function isCutOff(bytes: Uint8Array): boolean {
  let at = 0;
  let ir = 0;
  const varint = (): number | undefined => {
    let value = 0;
    for (let shift = 0; shift < 64 && at < bytes.length; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined) return ir > 0;
    const wire = tag % 8;
    const id = (tag - wire) / 8;
    if (modelFields.has(id) ? modelFields.get(id) !== wire : id === 0 || id > 100) return false;
    const value = varint();
    if (value === undefined) return ir > 0;
    if (id === 1) {
      if (value < 1 || value > 1000) return false;
      ir = value;
    }
    if (wire === 2) at += value;
    else if (wire !== 0) return false;
    if (at > bytes.length) return ir > 0;
  }
  return false;
}
