import { CgesError } from '../errors.js';
import { sizeOf } from '../tensor/tensor.js';
import {
  defaultCacheBytes,
  defaultMemoryBytes,
  type ImagePart,
  type ImageSize,
  type OpenOptions,
  type Part,
  type RawArray,
  type Source,
  type Target,
} from './dataset.js';
import { decodeElements, type ElementType, elementBytes, firstNonFinite, narrow } from './elements.js';
import { type Raster, resizer } from './resize.js';
import { fileSource, madeSource, memorySource, readAll } from './source.js';

/** An array of a file (IDX, NPY, a member of an NPZ): its first axis counts the samples. */
export interface StoredArray {
  readonly file: string;
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly littleEndian: boolean;
  /** Where the values begin in the file. */
  readonly start: number;
  /** The bytes are in memory already (compressed files), or cannot be read by ranges (Fortran order). */
  readonly atOnce: boolean;
  /** Reads the values' bytes. */
  load(): Promise<Uint8Array>;
}

/** An array with access to its samples. */
export interface OpenedArray {
  readonly stored: StoredArray;
  readonly source: Source;
  /** All values, where they are held in memory. */
  readonly data?: RawArray;
}

/** Reads an array into memory, or prepares for reading it by ranges where it is too large for that. */
export async function openArray(stored: StoredArray, options: OpenOptions): Promise<OpenedArray> {
  const [length = 1, ...shape] = stored.shape;
  const elements = sizeOf(shape);
  if (length === 0 || elements === 0)
    throw new CgesError('DATA_INVALID', `${named(stored)} is empty: its shape is [${stored.shape.join(', ')}]`, {
      file: stored.file,
    });
  const bytes = length * elements * elementBytes[stored.type];
  if (!stored.atOnce && bytes > (options.memoryBytes ?? defaultMemoryBytes))
    return { stored, source: fileSource({ ...stored, path: stored.file }, length, elements) };
  const data = narrow(decodeElements(await stored.load(), stored.type, stored.littleEndian));
  const bad = firstNonFinite(data);
  if (bad >= 0)
    throw new CgesError(
      'DATA_INVALID',
      `${named(stored)} holds ${data[bad]} in sample ${Math.floor(bad / elements)} at position ${bad % elements}`,
      { file: stored.file, hint: 'replace or leave out samples with missing values' },
    );
  return { stored, data, source: memorySource(data, length, elements) };
}

/** @returns the array as a part of a sample: a picture where its type and shape say so. */
export function partOf(array: OpenedArray, options: OpenOptions): Part {
  const { stored, source, data } = array;
  const shape = stored.shape.slice(1);
  const bytes = data ? data instanceof Uint8Array : stored.type === 'uint8';
  const whole = !stored.type.startsWith('float') && stored.type !== 'bool';
  const raster = rasterOf(shape);
  const picture = raster && (shape.length === 3 || (bytes && whole));
  if (!picture) return { kind: 'tensor', name: stored.name, shape, source };
  return storedImages(stored.name, raster, source, bytes ? 'uint8' : 'float32', options);
}

/** Pictures of one size, in an array. */
export function storedImages(
  name: string,
  raster: Raster,
  source: Source,
  dtype: 'uint8' | 'float32',
  options: OpenOptions,
): ImagePart {
  const resized = new Map<string, Source>();
  return {
    kind: 'image',
    name,
    ...raster,
    varying: false,
    dtype,
    at(size) {
      if (sameSize(size, raster)) return source;
      const key = `${size.height}×${size.width}×${size.channels}`;
      const found = resized.get(key) ?? resizedSource(source, raster, size, options);
      resized.set(key, found);
      return found;
    },
  };
}

/** What an array of targets says: classes where it holds whole numbers from 0 on, or one-hot rows; values otherwise. */
export async function targetOf(
  array: OpenedArray,
  options: OpenOptions,
): Promise<{ target: Target; labels?: Int32Array; values?: Source; choice?: string }> {
  const { stored, source } = array;
  const shape = stored.shape.slice(1);
  const values = { target: { kind: 'values', shape: shape.length === 0 ? [1] : shape }, values: source } as const;
  if (options.target === 'values') return values;
  const data = array.data ?? (await readAll(source));
  if (source.elements === 1) {
    const classes = classesOf(data, stored.type.startsWith('float') ? options.classes : Number.POSITIVE_INFINITY);
    // One output tells two classes apart; more of them it can only predict as numbers.
    const fits = options.classes !== 1 || classes <= 2;
    if (classes > 0 && (options.target === 'class' || (classes > 1 && fits)))
      return { target: { kind: 'class', classes }, labels: Int32Array.from(data) };
  } else if (shape.length === 1) {
    const labels = hot(data, source.length, source.elements);
    if (labels)
      return {
        target: { kind: 'class', classes: source.elements },
        labels,
        choice: `${named(stored)} holds one-hot rows: read as ${source.elements} classes`,
      };
  }
  if (options.target === 'class')
    throw new CgesError('DATA_LABELS', `${named(stored)} holds no class numbers (whole numbers from 0 on)`, {
      file: stored.file,
    });
  return values;
}

/**
 * @returns the number of classes when all values are whole numbers from 0 on and few enough to be classes, else 0.
 * @param limit classes that are believed without a look at how many of them occur
 */
export function classesOf(data: ArrayLike<number>, limit = 2): number {
  let most = 0;
  const seen = new Set<number>();
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (!(value >= 0 && value < 1e6 && Number.isInteger(value))) return 0;
    if (value > most) most = value;
    if (seen.size < 1e5) seen.add(value);
  }
  return most < limit || most < 2 * seen.size + 8 ? most + 1 : 0;
}

/** Says which array is meant. */
export function named(stored: Pick<StoredArray, 'name'>): string {
  return stored.name ? `the array "${stored.name}"` : 'the array';
}

function resizedSource(source: Source, from: Raster, to: ImageSize, options: OpenOptions): Source {
  const resize = resizer(from, to);
  return madeSource({
    length: source.length,
    elements: to.height * to.width * to.channels,
    cacheBytes: options.cacheBytes ?? defaultCacheBytes,
    concurrency: 1,
    make(index) {
      const answer = source.read([index]);
      const from = (rows: Awaited<typeof answer>) => {
        if (!(rows.data instanceof Uint8Array)) throw new TypeError('only pictures of bytes are resized');
        return resize(rows.data, rows.offsets[0]);
      };
      return answer instanceof Promise ? answer.then(from) : from(answer);
    },
  });
}

const channelCounts = [1, 3, 4];

function rasterOf(shape: readonly number[]): Raster | undefined {
  if (shape.length === 2 && Math.min(...shape) >= 4)
    return { height: shape[0], width: shape[1], channels: 1, order: 'planar' };
  if (shape.length !== 3) return undefined;
  const [a, b, c] = shape;
  if (channelCounts.includes(c) && Math.min(a, b) > 1)
    return { height: a, width: b, channels: c, order: 'interleaved' };
  if (channelCounts.includes(a) && Math.min(b, c) > 1) return { height: b, width: c, channels: a, order: 'planar' };
  return undefined;
}

function sameSize(a: ImageSize, b: ImageSize): boolean {
  return a.height === b.height && a.width === b.width && a.channels === b.channels;
}

function hot(data: RawArray, length: number, width: number): Int32Array | undefined {
  const labels = new Int32Array(length).fill(-1);
  for (let i = 0, p = 0; i < length; i++)
    for (let j = 0; j < width; j++, p++) {
      if (data[p] === 0) continue;
      if (data[p] !== 1 || labels[i] >= 0) return undefined;
      labels[i] = j;
    }
  return labels.includes(-1) ? undefined : labels;
}
