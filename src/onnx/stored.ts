import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type { ModelProto } from './proto.js';
import type { OnnxFile } from './read.js';

/*
 * Of a large file one copy is held: its weights, moved to where typed arrays may begin. What needs the file as it was reads it
 * again. A model that was changed is another object, and is stored nowhere.
 */

interface Stored {
  readonly path: string;
  readonly bytes: number;
}

const places = new WeakMap<ModelProto, Stored>();

/** Remembers that a file on disk holds a model. */
export function noteStored(model: ModelProto, stored: Stored): void {
  places.set(model, stored);
}

/** @returns the file on disk that holds a model whose bytes are not held in memory. */
export function storedAt(model: ModelProto): Stored | undefined {
  return places.get(model);
}

/** Whether a file holds the model as it is, in memory or on disk. */
export function isStored({ bytes, model }: Pick<OnnxFile, 'bytes' | 'model'>): boolean {
  return bytes.length > 0 || places.has(model);
}

/** Bytes that are hashed at a time. */
const CHUNK = 2 ** 20;

/** @returns a SHA-256 that has taken in what a file holds. */
export function hashOf({ bytes, model }: Pick<OnnxFile, 'bytes' | 'model'>): Hash {
  const hash = createHash('sha256').update(bytes);
  const stored = places.get(model);
  if (!stored) return hash;
  const chunk = new Uint8Array(CHUNK);
  const descriptor = openSync(stored.path, 'r');
  try {
    for (let n = readSync(descriptor, chunk); n > 0; n = readSync(descriptor, chunk)) hash.update(chunk.subarray(0, n));
  } finally {
    closeSync(descriptor);
  }
  return hash;
}
