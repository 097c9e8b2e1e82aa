import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CgesError } from '../errors.js';
import { sizeOf } from '../tensor/tensor.js';
import { openArray, partOf, type StoredArray, targetOf } from './arrays.js';
import { readHead, readRange } from './bytes.js';
import type { DataFound, Dataset, OpenOptions } from './dataset.js';
import { type ElementType, elementBytes } from './elements.js';

/** Element types by NumPy's descriptor, without the byte order. */
const types: Readonly<Record<string, ElementType>> = {
  b1: 'bool',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  u8: 'uint64',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const targetName = /^(y|labels?|targets?|classes|class)([-_.]|$)|[-_](y|labels?|targets?)([-_.]|$)/i;

/** @returns whether bytes begin like an NPY file. */
export function isNpyHead(head: Uint8Array): boolean {
  return magic.every((byte, i) => head[i] === byte);
}

/** @returns whether a name says that an array holds targets. */
export function isTargetName(name: string): boolean {
  return targetName.test(name);
}

/** Opens an NPY file of samples, and its targets where they lie beside it (`y.npy` for `x.npy`). */
export async function openNpyFile(file: string, options: OpenOptions): Promise<DataFound> {
  const choices: string[] = [];
  const train = await openNpy(file, await readdir(dirname(file)), options, choices);
  return { train, choices, warnings: [] };
}

/** Opens a folder of NPY files: samples and targets, for training and for testing. */
export async function openNpyFolder(
  folder: string,
  files: readonly string[],
  options: OpenOptions,
): Promise<DataFound> {
  const arrays = files.filter((f) => /\.npy$/i.test(f) && !isTargetName(f.replace(/\.npy$/i, '')));
  const tests = arrays.filter((f) => /(^|[-_])(test|val)([-_.])/i.test(f));
  const trains = arrays.filter((f) => !tests.includes(f));
  if (trains.length !== 1 || tests.length > 1)
    throw new CgesError(
      'DATA_INVALID',
      `which one holds the samples? There are ${files.filter((f) => /\.npy$/i.test(f)).join(', ')}`,
      {
        file: folder,
        hint: 'name them x.npy and y.npy (x_train.npy, y_train.npy, x_test.npy, y_test.npy), or give one file',
      },
    );
  const choices: string[] = [];
  const train = await openNpy(join(folder, trains[0]), files, options, choices);
  const test = tests[0] ? await openNpy(join(folder, tests[0]), files, options, choices) : undefined;
  return { train, test, choices, warnings: [] };
}

async function openNpy(
  file: string,
  siblings: readonly string[],
  options: OpenOptions,
  choices: string[],
): Promise<Dataset> {
  const { head, size } = await readHead(file, 65536 + 12);
  const array = await openArray(
    parseNpy(head, { file, name: 'input', size, load: (start, count) => readRange(file, start, count) }),
    options,
  );
  const dataset: Dataset = { format: 'npy', path: file, length: array.source.length, sample: [partOf(array, options)] };
  const partner = targetsOf(basename(file), siblings);
  if (!partner) return dataset;
  const beside = join(dirname(file), partner);
  const found = await readHead(beside, 65536 + 12);
  const stored = parseNpy(found.head, {
    file: beside,
    name: '',
    size: found.size,
    load: (start, count) => readRange(beside, start, count),
  });
  const targets = await openArray(stored, options);
  if (targets.source.length !== dataset.length)
    throw new CgesError(
      'DATA_INVALID',
      `${dataset.length} samples, but ${targets.source.length} targets in ${partner}`,
      { file },
    );
  const { choice, ...target } = await targetOf(targets, options);
  choices.push(`${partner} holds the targets`, ...(choice ? [choice] : []));
  return { ...dataset, ...target };
}

/**
 * Reads the header of an NPY array. **Source**: numpy/lib/format.py, versions 1 to 3. Arrays in Fortran order are
 * brought into row-major order when they are loaded.
 */
export function parseNpy(
  head: Uint8Array,
  from: {
    file: string;
    name: string;
    size: number;
    load: (start: number, count: number) => Promise<Uint8Array>;
    inMemory?: boolean;
  },
): StoredArray {
  const { file, name, size } = from;
  const damaged = (what: string, hint = 'save the array again with numpy.save') => {
    throw new CgesError('DATA_INVALID', name ? `the array "${name}": ${what}` : what, { file, hint });
  };
  if (!isNpyHead(head)) damaged('not an NPY array: it does not begin with \\x93NUMPY');
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const long = head[6] >= 2;
  const begin = long ? 12 : 10;
  if (head.length < begin) damaged('the NPY header is truncated');
  const start = begin + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  if (start > head.length) damaged('the NPY header is truncated');
  const header = new TextDecoder().decode(head.subarray(begin, start));
  const descriptor = /'descr':\s*'([<>|=]?)([a-zA-Z]\d*)'/.exec(header);
  const type = descriptor ? types[descriptor[2]] : undefined;
  const dims = /'shape':\s*\(([^)]*)\)/.exec(header);
  if (!type || !dims) {
    const said = /'descr':\s*([^,]+(?:\[[^\]]*\])?)/.exec(header)?.[1] ?? header.trim();
    return damaged(`its element type ${said} is not supported`, 'save numbers: arr.astype("float32")') as never;
  }
  const shape = dims[1]
    .split(',')
    .map((d) => d.trim())
    .filter(Boolean)
    .map(Number);
  const count = sizeOf(shape) * elementBytes[type];
  if (size < start + count)
    damaged(`truncated: [${shape.join(', ')}] of ${type} need ${start + count} bytes, there are ${size}`);
  const fortran = /'fortran_order':\s*True/.test(header) && shape.filter((d) => d > 1).length > 1;
  const stored = { file, name, type, shape, littleEndian: descriptor![1] !== '>', start };
  if (!fortran) return { ...stored, atOnce: from.inMemory === true, load: () => from.load(start, count) };
  // Rows of an array in Fortran order are scattered over the file: it is read at once, whatever its size.
  const load = async () => rowMajor(await from.load(start, count), shape, elementBytes[type]);
  return { ...stored, load, atOnce: true };
}

/** @returns the elements of a Fortran-ordered array in row-major order. */
function rowMajor(bytes: Uint8Array, shape: readonly number[], size: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)) * size);
  const index = new Array<number>(shape.length).fill(0);
  for (let p = 0, from = 0; p < out.length; p += size) {
    for (let b = 0; b < size; b++) out[p + b] = bytes[from + b];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** @returns the file of targets beside a file of samples. */
function targetsOf(samples: string, siblings: readonly string[]): string | undefined {
  const bare = (name: string) =>
    name
      .toLowerCase()
      .replace(/\.npy$/, '')
      .split(/[-_.]/)
      .filter((word) => !/^(x|y|data|images?|inputs?|features|samples|labels?|targets?|class|classes)$/.test(word))
      .join('-');
  return siblings.find(
    (f) => f !== samples && /\.npy$/i.test(f) && isTargetName(f.replace(/\.npy$/i, '')) && bare(f) === bare(samples),
  );
}
