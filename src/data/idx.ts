import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CgesError } from '../errors.js';
import { sizeOf } from '../tensor/tensor.js';
import { openArray, partOf, type StoredArray, targetOf } from './arrays.js';
import { readBytes, readHead, readRange } from './bytes.js';
import type { DataFound, Dataset, OpenOptions } from './dataset.js';
import { type ElementType, elementBytes } from './elements.js';

/** The type byte of an IDX file. **Source**: Y. LeCun's MNIST page; values are big-endian. */
const types: Readonly<Record<number, ElementType>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
};

const idxName = /idx\d?|ubyte/i;

/** @returns whether a file calls itself IDX (`train-images-idx3-ubyte.gz`, `x.idx`). */
export function isIdxName(file: string): boolean {
  return idxName.test(basename(file)) && !/\.(json|txt|md|csv|npy|npz)$/i.test(file);
}

/** @returns whether bytes begin like an IDX file: two zeros, a type, and a few axes. */
export function isIdxHead(head: Uint8Array): boolean {
  return head.length >= 4 && head[0] === 0 && head[1] === 0 && head[2] in types && head[3] >= 1 && head[3] <= 6;
}

/** Opens a folder's IDX files: pairs of images and labels, of which `t10k-…` or `test-…` is the test set. */
export async function openIdxFolder(
  folder: string,
  files: readonly string[],
  options: OpenOptions,
): Promise<DataFound> {
  const images = files.filter((f) => isIdxName(f) && !isLabels(f));
  const tests = images.filter(isTest);
  const trains = images.filter((f) => !isTest(f));
  const hint = 'keep one pair of image and label files (and their t10k- pair), or give one file';
  if (images.length === 0)
    throw new CgesError('DATA_INVALID', 'there are IDX labels, but no IDX images or samples beside them', {
      file: folder,
      hint,
    });
  if (trains.length > 1 || tests.length > 1)
    throw new CgesError('DATA_INVALID', `which one is meant? There are ${images.join(', ')}`, { file: folder, hint });
  const choices: string[] = [];
  const openOne = (file: string) => openIdx(join(folder, file), files, options, choices);
  const test = tests[0] ? await openOne(tests[0]) : undefined;
  if (!trains[0]) return { train: test!, choices, warnings: ['only the test set was found: it is used as it is'] };
  return { train: await openOne(trains[0]), test, choices, warnings: [] };
}

/** Opens one IDX file of samples, and its labels where they lie beside it. */
export async function openIdxFile(file: string, options: OpenOptions): Promise<DataFound> {
  if (isLabels(basename(file)))
    throw new CgesError('DATA_INVALID', 'this is the file of the labels', {
      file,
      hint: 'give the file of the images, or the folder',
    });
  const choices: string[] = [];
  const train = await openIdx(file, await readdir(dirname(file)), options, choices);
  return { train, choices, warnings: [] };
}

async function openIdx(
  file: string,
  siblings: readonly string[],
  options: OpenOptions,
  choices: string[],
): Promise<Dataset> {
  const images = await openArray(await readIdx(file), options);
  const sample = [partOf(images, options)];
  const length = images.source.length;
  const partner = labelsOf(basename(file), siblings);
  if (!partner) return { format: 'idx', path: file, length, sample };
  const labelFile = join(dirname(file), partner);
  const labels = await openArray(await readIdx(labelFile), options);
  if (labels.source.length !== length)
    throw new CgesError('DATA_INVALID', `${length} images, but ${labels.source.length} labels in ${partner}`, {
      file,
      hint: 'the two files belong to different sets, or one is damaged',
    });
  const { choice, ...target } = await targetOf(labels, options);
  if (choice) choices.push(choice);
  return { format: 'idx', path: file, length, sample, ...target };
}

/** Reads the header of an IDX file; of a gzipped one everything. */
async function readIdx(file: string): Promise<StoredArray> {
  const { head: start, size: packed } = await readHead(file, 64);
  const zipped = start[0] === 0x1f && start[1] === 0x8b;
  const all = zipped ? await readBytes(file) : undefined;
  const head = all ? all.subarray(0, 64) : start;
  const size = all ? all.length : packed;
  if (!isIdxHead(head)) {
    const found = [...head.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    throw new CgesError(
      'DATA_INVALID',
      `not an IDX file: it begins with ${found || 'nothing'}, expected 00 00, a type 08…0e, and the number of axes`,
      {
        file,
        hint: 'download the file again; a web page may have been saved in its place',
      },
    );
  }
  const type = types[head[2]];
  const begin = 4 + 4 * head[3];
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const shape = head.length < begin ? [] : Array.from({ length: head[3] }, (_, axis) => view.getUint32(4 + 4 * axis));
  const bytes = sizeOf(shape) * elementBytes[type];
  if (head.length < begin || size < begin + bytes)
    throw new CgesError(
      'DATA_INVALID',
      `the IDX file is truncated: [${shape.join(', ')}] of ${type} need ${begin + bytes} bytes, it has ${size}`,
      {
        file,
        hint: 'download or copy the file again',
      },
    );
  return {
    file,
    name: 'image',
    type,
    shape,
    littleEndian: false,
    start: begin,
    atOnce: zipped,
    load: async () => all?.subarray(begin, begin + bytes) ?? (await readRange(file, begin, bytes)),
  };
}

function isLabels(file: string): boolean {
  return /label|idx1/i.test(file);
}

function isTest(file: string): boolean {
  return /^(t10k|test|val)|[-_.](t10k|test|val)[-_.]/i.test(file);
}

/** @returns the file of the labels that belong to a file of images. */
function labelsOf(images: string, siblings: readonly string[]): string | undefined {
  const bare = (name: string) =>
    name
      .toLowerCase()
      .replace(/\.gz$/, '')
      .replace(/images?|labels?|data|idx\d?|ubyte/g, '')
      .replace(/[-_.]+/g, '-');
  return siblings.find((f) => f !== images && isIdxName(f) && isLabels(f) && bare(f) === bare(images));
}
