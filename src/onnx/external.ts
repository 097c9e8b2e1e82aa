import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { isAbsolute, join, normalize, relative, sep, win32 } from 'node:path';
import { CgesError } from '../errors.js';
import type { TensorProto } from './proto.js';
import { codeOf } from './read.js';

/** A stretch of a file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  /** The tensor that it is of, for messages. */
  readonly tensor: string;
}

/**
 * Where a tensor's external contents lie. `bytes` is what its type and shape take.
 *
 * Throws MODEL_EXTERNAL_DATA for a path that leaves the model's folder, by name or through a link, and for ranges that
 * do not fit the tensor.
 */
export function locateExternal(proto: TensorProto, bytes: number, folder: string | undefined): FileRange {
  const tensor = proto.name ?? '';
  const entries = new Map(proto.externalData.map((e) => [e.key, e.value ?? '']));
  const location = entries.get('location') ?? '';
  if (!location) throw wrong(tensor, 'its external data names no file');
  if (!folder) {
    throw wrong(tensor, `its external data '${location}' is relative to a folder, but the model came as bytes`, {
      hint: 'read the model by its path',
    });
  }
  const offset = integer(entries.get('offset') ?? '0');
  const length = integer(entries.get('length') ?? String(bytes));
  if (offset === undefined || length === undefined)
    throw wrong(tensor, 'offset or length of its external data is no number');
  if (length !== bytes) throw wrong(tensor, `${length} bytes of external data, but its type and shape take ${bytes}`);
  return { path: insideFolder(tensor, location, folder), offset, length, tensor };
}

/** @returns the bytes of a range, aligned for every element type. */
export function readExternal(range: FileRange): Uint8Array {
  const bytes = new Uint8Array(range.length);
  let at = 0;
  for (const chunk of chunksOf(range, largestRead)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** One read call takes less than 2 GiB. */
const largestRead = 2 ** 30;

/**
 * Reads a range piece by piece: memory stays at one piece, which is valid until the next one is asked for.
 *
 * Throws MODEL_EXTERNAL_DATA where the file is missing or too short.
 */
export function* chunksOf(range: FileRange, chunkBytes: number): Generator<Uint8Array> {
  const { path, offset, length, tensor } = range;
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw wrong(tensor, `its external data cannot be read (${codeOf(cause)})`, { file: path, cause });
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw wrong(tensor, 'its external data is no file', { file: path });
    const { size } = stat;
    if (offset + length > size) {
      const what = `its external data is bytes ${offset} to ${offset + length}, but the file ends at ${size}`;
      throw wrong(tensor, what, { file: path });
    }
    const buffer = new Uint8Array(Math.min(chunkBytes, length));
    for (let at = 0; at < length;) {
      const got = readSync(file, buffer, 0, Math.min(buffer.length, length - at), offset + at);
      if (got === 0) throw wrong(tensor, `its external data ended after ${at} of ${length} bytes`, { file: path });
      yield buffer.subarray(0, got);
      at += got;
    }
  } finally {
    closeSync(file);
  }
}

function insideFolder(tensor: string, location: string, folder: string): string {
  const outside = (cause?: unknown) =>
    wrong(tensor, `its external data '${location}' lies outside the model's folder`, {
      cause,
      hint: `copy the data file beside the model, under a path inside ${folder}`,
    });
  // Both notations on every system: a model travels.
  if (isAbsolute(location) || win32.isAbsolute(location) || /^[a-z]:/i.test(location)) throw outside();
  if (location.split(/[\\/]/).includes('..') && leaves(normalize(location.replaceAll('\\', '/')))) throw outside();
  const path = join(folder, location);
  let real: string;
  let home: string;
  try {
    home = realpathSync(folder);
    real = realpathSync(path);
  } catch (cause) {
    const what =
      codeOf(cause) === 'ENOENT'
        ? `its external data '${location}' is missing`
        : `its external data '${location}' cannot be read`;
    throw wrong(tensor, what, { file: path, cause, hint: 'the data file belongs beside the model' });
  }
  if (leaves(relative(home, real))) throw outside();
  return real;
}

function leaves(path: string): boolean {
  return path === '..' || path.startsWith(`..${sep}`) || path.startsWith('../') || isAbsolute(path);
}

function integer(text: string): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function wrong(tensor: string, what: string, more: { file?: string; hint?: string; cause?: unknown } = {}): CgesError {
  return new CgesError('MODEL_EXTERNAL_DATA', `tensor '${tensor}': ${what}`, { value: tensor, ...more });
}
