import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

/** Folders of the running test, removed after it. */
const made: string[] = [];

afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true });
});

export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cges-data-'));
  made.push(path);
  return path;
}

/** Writes a file into a folder of its own and returns its path. */
export async function file(name: string, contents: Uint8Array | string): Promise<string> {
  const path = join(await folder(), name);
  await writeFile(path, contents);
  return path;
}

export function idx(type: number, shape: readonly number[], values: Uint8Array): Uint8Array {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = type;
  head[3] = shape.length;
  for (const [axis, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([head, values]);
}

export function npy(descr: string, shape: readonly number[], values: Uint8Array, fortran = false): Uint8Array {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${dims}), }\n`;
  const head = Buffer.alloc(10);
  Buffer.from('\x93NUMPY\x01\x00', 'latin1').copy(head);
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header, 'latin1'), values]);
}

export function bytesOf(values: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** 0, 1, 2, … as bytes. */
export function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i & 255);
}
