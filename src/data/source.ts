import { open } from 'node:fs/promises';
import { CgesError } from '../errors.js';
import type { RawArray, Rows, Source } from './dataset.js';
import { decodeElements, type ElementType, elementBytes, firstNonFinite } from './elements.js';

/** Samples that lie in one array, `stride` values apart, from `first` on. */
export function memorySource(data: RawArray, length: number, elements: number, stride = elements, first = 0): Source {
  // A Buffer is another class to the compiler: loops that see both are slower.
  const plain = data instanceof Buffer ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data;
  return {
    length,
    elements,
    read(indices) {
      const offsets = new Float64Array(indices.length);
      for (let k = 0; k < offsets.length; k++) offsets[k] = first + indices[k] * stride;
      return { data: plain, offsets };
    },
  };
}

/** Rows of a file's array, for arrays that are too large to be held. */
export interface FileArray {
  readonly path: string;
  /** Where the first value lies. */
  readonly start: number;
  readonly type: ElementType;
  readonly littleEndian: boolean;
}

/** Samples that are read from a file as they are asked for. */
export function fileSource(array: FileArray, length: number, elements: number): Source {
  const rowBytes = elements * elementBytes[array.type];
  return {
    length,
    elements,
    async read(indices) {
      const bytes = new Uint8Array(indices.length * rowBytes);
      const file = await open(array.path, 'r');
      try {
        for (let k = 0; k < indices.length;) {
          let run = 1;
          while (k + run < indices.length && indices[k + run] === indices[k] + run) run++;
          const { bytesRead } = await file.read(
            bytes,
            k * rowBytes,
            run * rowBytes,
            array.start + indices[k] * rowBytes,
          );
          if (bytesRead < run * rowBytes)
            throw new CgesError(
              'DATA_INVALID',
              `the file ends within sample ${indices[k]}: it became shorter while it was read`,
              {
                file: array.path,
              },
            );
          k += run;
        }
      } finally {
        await file.close();
      }
      const data = decodeElements(bytes, array.type, array.littleEndian);
      const bad = firstNonFinite(data);
      if (bad >= 0)
        throw new CgesError(
          'DATA_INVALID',
          `sample ${indices[Math.floor(bad / elements)]} holds ${data[bad]} at position ${bad % elements}`,
          { file: array.path, hint: 'replace or leave out samples with missing values' },
        );
      return { data, offsets: evenly(indices.length, elements) };
    },
  };
}

/** How samples of bytes are made that are not simply there: decoded, resized, converted. */
export interface Making {
  readonly length: number;
  readonly elements: number;
  /** Makes sample `index`. */
  make(index: number): Uint8Array | Promise<Uint8Array>;
  /** How many are made at the same time. */
  readonly concurrency: number;
  /** Bytes of finished samples that are kept. */
  readonly cacheBytes: number;
}

/**
 * Samples that are made on demand. The first ones that fit are kept for good: under a new random order in every epoch
 * that is as good as any other policy, and nothing is ever made and thrown away for another.
 */
export function madeSource({ length, elements, make, concurrency, cacheBytes }: Making): Source {
  const kept = new Map<number, Uint8Array>();
  const room = Math.floor(cacheBytes / Math.max(1, elements));
  return {
    length,
    elements,
    async read(indices) {
      const data = new Uint8Array(indices.length * elements);
      const missing: number[] = [];
      for (let k = 0; k < indices.length; k++) {
        const sample = kept.get(indices[k]);
        if (sample) data.set(sample, k * elements);
        else missing.push(k);
      }
      let next = 0;
      const worker = async () => {
        while (next < missing.length) {
          const k = missing[next++];
          const index = indices[k];
          const made = make(index);
          const sample = made instanceof Uint8Array ? made : await made;
          data.set(sample, k * elements);
          if (kept.size < room) kept.set(index, sample);
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, missing.length) }, worker));
      return { data, offsets: evenly(indices.length, elements) };
    },
  };
}

/** @returns all values of a source, in one array. */
export async function readAll(source: Source): Promise<RawArray> {
  const { data, offsets } = await source.read(Uint32Array.from({ length: source.length }, (_, i) => i));
  const out = blank(data, source.length * source.elements);
  for (let k = 0; k < offsets.length; k++)
    out.set(data.subarray(offsets[k], offsets[k] + source.elements), k * source.elements);
  return out;
}

/** @returns rows without the steps between them. */
export function evenly(count: number, elements: number): Rows['offsets'] {
  const offsets = new Float64Array(count);
  for (let k = 0; k < count; k++) offsets[k] = k * elements;
  return offsets;
}

function blank(like: RawArray, length: number): RawArray {
  if (like instanceof Uint8Array) return new Uint8Array(length);
  return like instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}
