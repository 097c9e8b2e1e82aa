import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { CgesError } from '../errors.js';
import { Random } from '../tensor/random.js';
import {
  type DataFound,
  type Dataset,
  defaultCacheBytes,
  type ImagePart,
  type ImageSize,
  type OpenOptions,
  type Source,
} from './dataset.js';
import { madeSource } from './source.js';

/** Pictures whose headers are looked at when a folder is opened. */
const LOOK = 24;

const pictureName = /\.(jpe?g|png|webp|tiff?|gif|avif)$/i;
const trainName = /^(train|training)$/i;
/** In this order: where there is a test set, a validation set is not it. */
const testNames = [/^(test|testing)$/i, /^(val|valid|validation)$/i];

/** @returns whether a file calls itself a picture. */
export function isPictureName(file: string): boolean {
  return pictureName.test(file) && !basename(file).startsWith('.');
}

/** A folder of pictures: one folder per class, perhaps below `train` and `test`, or pictures without classes. */
export async function openImageFolder(folder: string, options: OpenOptions): Promise<DataFound> {
  const folders = await foldersOf(folder);
  const train = folders.find((f) => trainName.test(f));
  if (!train) return openOne(folder, folders, options);
  const trainFolder = join(folder, train);
  const found = await openOne(trainFolder, await foldersOf(trainFolder), options);
  const test = testNames.map((name) => folders.find((f) => name.test(f))).find((f) => f !== undefined);
  if (!test) return found;
  const testFolder = join(folder, test);
  const names = found.train.target?.kind === 'class' ? found.train.target.names : undefined;
  const beside = await openOne(testFolder, await foldersOf(testFolder), { ...options, names });
  return { ...found, test: beside.train };
}

/** @returns whether a folder holds pictures, at most two folders down. */
export async function holdsPictures(folder: string, depth = 2): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((e) => !e.isDirectory() && isPictureName(e.name))) return true;
  if (depth === 0) return false;
  for (const e of entries) if (e.isDirectory() && (await holdsPictures(join(folder, e.name), depth - 1))) return true;
  return false;
}

async function openOne(folder: string, folders: readonly string[], options: OpenOptions): Promise<DataFound> {
  const files: string[] = [];
  const labels: number[] = [];
  const choices: string[] = [];
  const warnings: string[] = [];
  const byClass = new Map<string, string[]>();
  for (const name of folders) {
    const list = await picturesBelow(join(folder, name));
    if (list.length > 0) byClass.set(name, list);
    else warnings.push(`the folder ${name} holds no pictures: left out`);
  }
  const names = options.names ?? [...byClass.keys()].sort();
  for (const [name, list] of [...byClass].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const label = names.indexOf(name);
    if (label < 0)
      throw new CgesError(
        'DATA_LABELS',
        `the class "${name}" is not among those of the training data (${names.join(', ')})`,
        { file: folder },
      );
    for (const file of list) {
      files.push(file);
      labels.push(label);
    }
  }
  if (byClass.size > 10 && names.every((n) => /^\d+$/.test(n)))
    choices.push('the class folders are numbered in the order of their names as text: 0, 1, 10, 11, …, 2');
  const labelled = files.length > 0;
  if (!labelled) {
    files.push(...(await picturesIn(folder)));
    if (files.length > 0) warnings.push('the pictures lie in no class folders: they have no labels');
  }
  if (files.length === 0)
    throw new CgesError('DATA_INVALID', 'the folder holds no pictures', {
      file: folder,
      hint: 'put the pictures of every class into a folder of its own',
    });
  const part = await picturePart(files, options);
  const dataset: Dataset = { format: 'images', path: folder, length: files.length, sample: [part] };
  if (!labelled) return { train: dataset, choices, warnings };
  return {
    train: { ...dataset, target: { kind: 'class', classes: names.length, names }, labels: Int32Array.from(labels) },
    choices,
    warnings,
  };
}

async function picturePart(files: readonly string[], options: OpenOptions): Promise<ImagePart> {
  const random = new Random(0);
  const looked = files.length <= LOOK ? files : Array.from({ length: LOOK }, () => files[random.below(files.length)]);
  const sizes: ImageSize[] = [];
  for (const file of looked) {
    const { width, height, channels, space, autoOrient } = await sharp(file)
      .metadata()
      .catch((cause: unknown) => undecodable(file, cause));
    const grey = channels <= 2 || space === 'b-w';
    sizes.push({ height: autoOrient?.height ?? height, width: autoOrient?.width ?? width, channels: grey ? 1 : 3 });
  }
  const channels = Math.max(...sizes.map((s) => s.channels));
  const varying = sizes.some((s) => s.height !== sizes[0].height || s.width !== sizes[0].width);
  const decoded = new Map<string, Source>();
  return {
    kind: 'image',
    name: 'image',
    height: sizes[0].height,
    width: sizes[0].width,
    channels,
    varying,
    order: 'interleaved',
    dtype: 'uint8',
    at(size) {
      const key = `${size.height}×${size.width}×${size.channels}`;
      const found = decoded.get(key) ?? decodedSource(files, size, options);
      decoded.set(key, found);
      return found;
    },
  };
}

function decodedSource(files: readonly string[], size: ImageSize, options: OpenOptions): Source {
  // Pictures are decoded several at a time: one thread each is faster than many threads for one.
  sharp.concurrency(1);
  return madeSource({
    length: files.length,
    elements: size.height * size.width * size.channels,
    cacheBytes: options.cacheBytes ?? defaultCacheBytes,
    concurrency: Math.max(1, Math.min(4, availableParallelism())),
    make: (index) => decode(files[index], size),
  });
}

/** Decodes a picture upright, without transparency, its short side scaled and the centre cut out. */
async function decode(file: string, { height, width, channels }: ImageSize): Promise<Uint8Array> {
  try {
    const { data, info } = await sharp(file)
      .autoOrient()
      .flatten({ background: 'white' })
      .resize(width, height, { fit: 'cover', position: 'centre', kernel: 'linear' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels === channels) return new Uint8Array(data.buffer, data.byteOffset, data.length);
    return withChannels(data, info.channels, channels, height * width);
  } catch (cause) {
    return undecodable(file, cause);
  }
}

function withChannels(data: Uint8Array, from: number, to: number, pixels: number): Uint8Array {
  const out = new Uint8Array(pixels * to);
  for (let i = 0; i < pixels; i++)
    for (let c = 0; c < to; c++) out[i * to + c] = data[i * from + Math.min(c, from - 1)];
  return out;
}

function undecodable(file: string, cause: unknown): never {
  throw new CgesError(
    'DATA_INVALID',
    `the picture cannot be decoded: ${cause instanceof Error ? cause.message : cause}`,
    {
      file,
      hint: 'replace or remove the file',
      cause,
    },
  );
}

async function foldersOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names: string[] = [];
  for (const e of entries)
    if (e.isDirectory() && !e.name.startsWith('.') && !e.name.startsWith('__')) names.push(e.name);
  return names.sort();
}

async function picturesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter(isPictureName)
    .sort()
    .map((name) => join(folder, name));
}

async function picturesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter(isPictureName)
    .sort()
    .map((name) => join(folder, name));
}
