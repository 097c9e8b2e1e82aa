import { open, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { CgesError } from '../errors.js';

const unzip = promisify(gunzip);

/** @returns a file's bytes, unpacked where they are gzipped. */
export async function readBytes(file: string): Promise<Uint8Array> {
  const { size } = await stat(file);
  if (size > 2 ** 31 - 1)
    throw new CgesError('DATA_INVALID', `the file has ${size} bytes: more than 2 GiB cannot be read in one piece`, {
      file,
      hint: 'unpack it (.npy and IDX files are read by ranges), or split it',
    });
  const bytes = await readFile(file);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await unzip(bytes);
  } catch (cause) {
    throw new CgesError('DATA_INVALID', 'the gzipped file is damaged or ends too early', {
      file,
      hint: 'download or copy the file again',
      cause,
    });
  }
}

/** @returns the first bytes of a file, and its size. */
export async function readHead(file: string, count: number): Promise<{ head: Uint8Array; size: number }> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const head = new Uint8Array(Math.min(count, size));
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    return { head: head.subarray(0, bytesRead), size };
  } finally {
    await handle.close();
  }
}

/** @returns a range of a file. */
export async function readRange(file: string, start: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(length - at, 2 ** 30), start + at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}
