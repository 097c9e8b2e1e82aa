import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { CgesError } from '../errors.js';
import { dtypeOf } from '../tensor/tensor.js';
import { type Rename, writeAll, writeTogether } from './atomic.js';
import { encodeChunks } from './encode.js';
import { chunksOf, type FileRange, locateExternal } from './external.js';
import { type TensorRole, tensorsFrom } from './graph.js';
import type { ModelProto, TensorProto } from './proto.js';
import { largestMessage } from './read.js';
import { cloneMessage } from './schema.js';
import {
  byteSizeOf,
  bytesOf,
  clearContents,
  inlineBytes,
  isExternal,
  setTensor,
  tensorDims,
  tensorOf,
} from './tensors.js';

export interface WriteOptions {
  /** The folder that the model's external data, as it is now, is relative to. */
  readonly folder?: string;
  /**
   * `auto` (default): weights go to a second file where the model had them there, or where one file would get too
   * large; `always`: they do.
   */
  readonly externalData?: 'auto' | 'always';
  /** Bytes of weights from which one file is too large. */
  readonly largestInline?: number;
  /** How files are moved into place. */
  readonly rename?: Rename;
}

/** What was written. */
export interface Written {
  readonly path: string;
  /** The file of external data beside it. */
  readonly dataPath?: string;
  /** Of both files together. */
  readonly bytes: number;
}

/** Room for the graph itself below the 2 GiB of a message. */
const LARGEST_INLINE = 1.9e9;

/** Smaller tensors stay in the model file: shapes and axes must be readable there. */
const SMALLEST_EXTERNAL = 1024;

/** @returns the model as the bytes of an ONNX file; tensors with external data keep their references. */
export function encodeModel(model: ModelProto): Uint8Array {
  const chunks = encodeChunks(model);
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

/**
 * Writes a model atomically: after an error the target is what it was before. External data goes to `<path>.data`, as
 * a stream; the model itself is not changed. Where that replaces the data file that `model` itself refers to, read the
 * model again before using it further.
 *
 * Throws OUTPUT_UNWRITABLE, and MODEL_EXTERNAL_DATA for weights that cannot be read any more.
 */
export async function writeModel(model: ModelProto, path: string, options: WriteOptions = {}): Promise<Written> {
  const isSplit = needsSplit(model, options);
  const copy = isSplit ? cloneMessage(model) : model;
  const pieces = isSplit ? moveOut(copy, `${basename(path)}.data`, options) : [];
  const chunks = encodeChunks(copy);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (bytes > largestMessage) {
    throw new CgesError('OUTPUT_UNWRITABLE', `${bytes} bytes in one file: an ONNX file ends at 2 GiB`, { file: path });
  }
  const fill = async (handle: FileHandle) => {
    for (const chunk of chunks) await writeAll(handle, chunk);
  };
  const file = { path, fill };
  const last = pieces.at(-1);
  if (!last) {
    await writeTogether([file], options.rename);
    return { path, bytes };
  }
  const dataPath = `${path}.data`;
  await writeTogether([{ path: dataPath, fill: (handle) => writePieces(handle, pieces) }, file], options.rename);
  return { path, dataPath, bytes: bytes + last.offset + last.length };
}

/** @returns a copy of the model that holds all of its weights itself. Throws MODEL_EXTERNAL_DATA. */
export function inlineModel(model: ModelProto, folder?: string): ModelProto {
  const copy = cloneMessage(model);
  for (const { tensor } of tensorsFrom(copy)) if (isExternal(tensor)) setTensor(tensor, tensorOf(tensor, folder));
  return copy;
}

/** One tensor's place in the data file, and where its bytes are now. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly from: Uint8Array | FileRange;
}

/** Whether the weights belong into a file of their own. */
function needsSplit(model: ModelProto, options: WriteOptions): boolean {
  const tensors = [...tensorsFrom(model)];
  if (options.externalData === 'always' || tensors.some(({ tensor }) => isExternal(tensor))) return true;
  return inlineTotal(tensors) > (options.largestInline ?? LARGEST_INLINE);
}

function inlineTotal(tensors: readonly { readonly tensor: TensorProto }[]): number {
  return tensors.reduce((sum, { tensor }) => sum + inlineBytes(tensor), 0);
}

/** Replaces the contents of large tensors by references into the data file. */
function moveOut(model: ModelProto, location: string, options: WriteOptions): Piece[] {
  const tensors = [...tensorsFrom(model)];
  const largest = options.largestInline ?? LARGEST_INLINE;
  let inline = inlineTotal(tensors);
  const pieces: Piece[] = [];
  let end = 0;
  const move = (tensor: TensorProto, length: number) => {
    inline -= inlineBytes(tensor);
    const from = contentsOf(tensor, length, options.folder);
    const same = from instanceof Uint8Array ? undefined : pieces.find((p) => isSameRange(p.from, from));
    // Pages of large tensors can be mapped, elements of small ones can be viewed.
    const align = length >= 2 ** 20 ? 4096 : 64;
    const offset = same?.offset ?? Math.ceil(end / align) * align;
    if (!same) {
      pieces.push({ offset, length, from });
      end = offset + length;
    }
    refer(tensor, location, offset, length);
  };
  const open = new Set(tensors);
  const pass = (wanted: (tensor: TensorProto, role: TensorRole) => boolean) => {
    for (const entry of open) {
      const length = bytesOutside(entry.tensor);
      if (length === undefined || length < SMALLEST_EXTERNAL || !wanted(entry.tensor, entry.role)) continue;
      move(entry.tensor, length);
      open.delete(entry);
    }
  };
  pass((tensor, role) => role === 'initializer' || isExternal(tensor));
  // Constant nodes stay readable by every tool, as long as there is room.
  if (inline > largest) pass(() => true);
  for (const { tensor } of open) if (isExternal(tensor)) setTensor(tensor, tensorOf(tensor, options.folder));
  return pieces;
}

function isSameRange(a: Uint8Array | FileRange, b: FileRange): boolean {
  return 'path' in a && a.path === b.path && a.offset === b.offset && a.length === b.length;
}

/** @returns the bytes that a tensor takes outside the model file, undefined for one that must stay in it. */
function bytesOutside(tensor: TensorProto): number | undefined {
  const dtype = dtypeOf(tensor.dataType);
  if (dtype === 'string') return undefined;
  if (dtype) return byteSizeOf(dtype, tensorDims(tensor));
  // Of a type newer than this program the bytes are known all the same.
  const length = tensor.externalData.find((e) => e.key === 'length')?.value;
  return isExternal(tensor) ? Number(length) : tensor.rawData?.length;
}

function contentsOf(tensor: TensorProto, bytes: number, folder: string | undefined): Uint8Array | FileRange {
  if (isExternal(tensor)) return locateExternal(tensor, bytes, folder);
  if (tensor.rawData?.length === bytes) return tensor.rawData;
  const { data } = tensorOf(tensor);
  if (Array.isArray(data)) throw new TypeError('strings have no external form');
  return bytesOf(data);
}

function refer(tensor: TensorProto, location: string, offset: number, length: number): void {
  // The checksum was that of the whole old file; other entries are kept.
  const replaced = new Set(['location', 'offset', 'length', 'checksum']);
  const others = tensor.externalData.filter((e) => !replaced.has(e.key ?? ''));
  clearContents(tensor);
  tensor.dataLocation = 1;
  tensor.externalData = [
    { key: 'location', value: location },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: String(length) },
    ...others,
  ];
}

/** Bytes held in memory while external data is copied. */
const CHUNK = 2 ** 23;

async function writePieces(file: FileHandle, pieces: readonly Piece[]): Promise<void> {
  let at = 0;
  for (const { offset, length, from } of pieces) {
    await writeAll(file, new Uint8Array(offset - at));
    if (from instanceof Uint8Array) await writeAll(file, from);
    else for (const chunk of chunksOf(from, CHUNK)) await writeAll(file, chunk);
    at = offset + length;
  }
}
