import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CgesError } from '../errors.js';
import { storedImages } from './arrays.js';
import type { DataFound, Dataset, OpenOptions } from './dataset.js';
import { memorySource } from './source.js';

/** **Source**: A. Krizhevsky, the "binary version": label byte(s), then 32×32 bytes each of red, green and blue. */
const PIXELS = 3 * 32 * 32;

interface Kind {
  readonly name: string;
  readonly labelBytes: number;
  readonly classes: number;
  readonly train: RegExp;
  readonly test: RegExp;
  readonly names: readonly string[];
}

const cifar10: Kind = {
  name: 'CIFAR-10',
  labelBytes: 1,
  classes: 10,
  train: /^data_batch_\d+\.bin$/,
  test: /^test_batch\.bin$/,
  names: ['batches.meta.txt'],
};

/** Of its two label bytes, coarse and fine, the fine one counts. */
const cifar100: Kind = {
  name: 'CIFAR-100',
  labelBytes: 2,
  classes: 100,
  train: /^train\.bin$/,
  test: /^test\.bin$/,
  names: ['fine_label_names.txt'],
};

const kinds = [cifar10, cifar100];

/** @returns whether a folder's files are CIFAR's. */
export function isCifarFolder(files: readonly string[]): boolean {
  return files.some((f) => kinds.some((k) => k.train.test(f) || k.test.test(f)));
}

/** @returns whether a file has the name, or the size, of CIFAR's binary files. */
export function isCifarFile(file: string, size: number): boolean {
  if (isCifarFolder([basename(file)])) return true;
  return file.endsWith('.bin') && size > 0 && kinds.some((k) => size % (k.labelBytes + PIXELS) === 0);
}

export async function openCifarFolder(
  folder: string,
  files: readonly string[],
  options: OpenOptions,
): Promise<DataFound> {
  const kind = files.some((f) => cifar10.train.test(f) || cifar10.test.test(f)) ? cifar10 : cifar100;
  const number = (f: string) => Number(/\d+/.exec(f)?.[0] ?? 0);
  const trains = files.filter((f) => kind.train.test(f)).sort((a, b) => number(a) - number(b));
  const tests = files.filter((f) => kind.test.test(f));
  const names = await namesOf(folder, files, kind);
  const open = (list: readonly string[]) =>
    openFiles(
      list.map((f) => join(folder, f)),
      kind,
      folder,
      names,
      options,
    );
  const test = tests.length > 0 ? await open(tests) : undefined;
  if (trains.length === 0)
    return { train: test!, choices: [], warnings: ['only the test set was found: it is used as it is'] };
  return { train: await open(trains), test, choices: [], warnings: [] };
}

export async function openCifarFile(file: string, size: number, options: OpenOptions): Promise<DataFound> {
  const name = basename(file);
  const kind =
    kinds.find((k) => k.train.test(name) || k.test.test(name)) ??
    kinds.find((k) => size % (k.labelBytes + PIXELS) === 0) ??
    cifar10;
  return { train: await openFiles([file], kind, file, undefined, options), choices: [], warnings: [] };
}

async function openFiles(
  files: readonly string[],
  kind: Kind,
  path: string,
  names: readonly string[] | undefined,
  options: OpenOptions,
): Promise<Dataset> {
  const record = kind.labelBytes + PIXELS;
  const contents = await Promise.all(files.map((f) => readFile(f)));
  for (const [i, bytes] of contents.entries())
    if (bytes.length === 0 || bytes.length % record !== 0)
      throw new CgesError(
        'DATA_INVALID',
        `the ${kind.name} file is truncated: ${bytes.length} bytes are ${Math.floor(bytes.length / record)} records of ${record} and ${bytes.length % record} bytes more`,
        { file: files[i], hint: `unpack the binary version of ${kind.name} again` },
      );
  const data = contents.length === 1 ? contents[0] : Buffer.concat(contents);
  const length = data.length / record;
  const labels = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    labels[i] = data[i * record + kind.labelBytes - 1];
    if (labels[i] >= kind.classes)
      throw new CgesError(
        'DATA_INVALID',
        `record ${i} has the label ${labels[i]}: ${kind.name} has ${kind.classes} classes`,
        {
          file: path,
          hint: 'this is no file of the binary version, or it is damaged',
        },
      );
  }
  const source = memorySource(data, length, PIXELS, record, kind.labelBytes);
  const raster = { height: 32, width: 32, channels: 3, order: 'planar' } as const;
  return {
    format: 'cifar',
    path,
    length,
    sample: [storedImages('image', raster, source, 'uint8', options)],
    target: { kind: 'class', classes: kind.classes, names },
    labels,
  };
}

async function namesOf(folder: string, files: readonly string[], kind: Kind): Promise<readonly string[] | undefined> {
  const file = files.find((f) => kind.names.includes(f));
  if (!file) return undefined;
  const names = (await readFile(join(folder, file), 'utf8'))
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  return names.length === kind.classes ? names : undefined;
}
