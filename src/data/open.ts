import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CgesError } from '../errors.js';
import { readBytes, readHead } from './bytes.js';
import { isCifarFile, isCifarFolder, openCifarFile, openCifarFolder } from './cifar.js';
import { isCsvName, openCsvFile, openCsvFolder } from './csv.js';
import type { DataFound, Dataset, OpenOptions } from './dataset.js';
import { isIdxHead, isIdxName, openIdxFile, openIdxFolder } from './idx.js';
import { holdsPictures, isPictureName, openImageFolder } from './images.js';
import { isNpyHead, openNpyFile, openNpyFolder } from './npy.js';
import { openNpzFile } from './npz.js';

const known = 'IDX (MNIST), CIFAR binary, a folder of pictures per class, CSV, NPY or NPZ';

/**
 * Opens the data at a path, whatever it is: a file or folder goes in, samples with targets come out, and a test set
 * where one lies beside them. Nothing is fitted to a model here.
 * @throws CgesError DATA_NOT_FOUND, DATA_UNRECOGNISED, DATA_INVALID, DATA_LABELS
 */
export async function openData(path: string, options: OpenOptions = {}): Promise<DataFound> {
  const found = await recognise(resolve(path), options);
  const agreed = found.test ? agree(found.train, found.test) : found;
  const data = { ...found, ...agreed };
  if (options.split !== 'test') return data;
  if (!data.test) throw new CgesError('DATA_INVALID', 'there is no test set beside the data', { file: path });
  return { train: data.test, choices: data.choices, warnings: data.warnings };
}

async function recognise(path: string, options: OpenOptions): Promise<DataFound> {
  const status = await stat(path).catch((cause: unknown) => {
    throw new CgesError('DATA_NOT_FOUND', 'there is no such file or folder', {
      file: path,
      hint: `--data takes ${known}`,
      cause,
    });
  });
  return status.isDirectory() ? openFolder(path, options) : openFile(path, options);
}

async function openFolder(folder: string, options: OpenOptions, depth = 1): Promise<DataFound> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter((e) => !e.name.startsWith('.'));
  const files = entries
    .filter((e) => !e.isDirectory())
    .map((e) => e.name)
    .sort();
  const folders = entries.filter((e) => e.isDirectory()).map((e) => e.name);
  if (entries.length === 0)
    throw new CgesError('DATA_INVALID', 'the folder is empty', { file: folder, hint: `--data takes ${known}` });
  if (isCifarFolder(files)) return openCifarFolder(folder, files, options);
  if (files.some(isIdxName)) return openIdxFolder(folder, files, options);
  if (folders.length > 0 && (await holdsPictures(folder))) return openImageFolder(folder, options);
  const npz = files.filter((f) => /\.npz$/i.test(f));
  if (npz.length > 0) return openNpzFolder(folder, npz, options);
  if (files.some((f) => /\.npy$/i.test(f))) return openNpyFolder(folder, files, options);
  if (files.some(isCsvName)) return openCsvFolder(folder, files, options);
  if (files.some(isPictureName)) return openImageFolder(folder, options);
  if (folders.length === 1 && depth > 0) return openFolder(join(folder, folders[0]), options, depth - 1);
  const pickled = files.some((f) => /^(data_batch_\d|test_batch|batches\.meta)$/.test(f));
  throw new CgesError(
    'DATA_UNRECOGNISED',
    `nothing that is known lies here: ${[...folders.map((f) => `${f}/`), ...files].slice(0, 6).join(', ')}`,
    {
      file: folder,
      hint: pickled ? 'these are the Python files of CIFAR: download its "binary version"' : `--data takes ${known}`,
    },
  );
}

async function openNpzFolder(folder: string, files: readonly string[], options: OpenOptions): Promise<DataFound> {
  const test = files.find((f) => /(^|[-_])(test|val)[-_.]/i.test(f));
  const trains = files.filter((f) => f !== test);
  if (trains.length !== 1)
    throw new CgesError('DATA_INVALID', `which one is meant? There are ${files.join(', ')}`, {
      file: folder,
      hint: 'give the file itself, or name the files train.npz and test.npz',
    });
  const found = await openNpzFile(join(folder, trains[0]), options);
  if (!test || found.test) return found;
  return { ...found, test: (await openNpzFile(join(folder, test), options)).train };
}

async function openFile(file: string, options: OpenOptions): Promise<DataFound> {
  const { head, size } = await readHead(file, 16);
  if (size === 0) throw new CgesError('DATA_INVALID', 'the file is empty', { file });
  if (isNpyHead(head)) return openNpyFile(file, options);
  if (/\.npz$/i.test(file)) return openNpzFile(file, options);
  if (isCsvName(file)) return openCsvFile(file, options);
  if (isIdxName(file) || isIdxHead(head)) return openIdxFile(file, options);
  if (isCifarFile(file, size)) return openCifarFile(file, size, options);
  if (head[0] === 0x1f && head[1] === 0x8b && isIdxHead(await readBytes(file))) return openIdxFile(file, options);
  if (/\.(txt|data|dat)$/i.test(file)) return openCsvFile(file, options);
  const hints: readonly [RegExp, string][] = [
    [/\.onnx$/i, 'this is a model: --data takes samples'],
    [/\.(zip|tar|tgz|tar\.gz|rar|7z)$/i, 'unpack the archive and give its folder'],
    [/\.npy$/i, 'the file is no NPY array, whatever its name says: save it again with numpy.save'],
  ];
  const hint =
    hints.find(([name]) => name.test(file))?.[1] ??
    (isPictureName(file) ? 'give the folder of the pictures' : `--data takes ${known}`);
  throw new CgesError('DATA_UNRECOGNISED', 'the file is in no known format', { file, hint });
}

/** Training and test data have the same classes: as many as either of them names. */
function agree(train: Dataset, test: Dataset): { train: Dataset; test: Dataset } {
  if (train.target?.kind !== 'class' || test.target?.kind !== 'class') return { train, test };
  const classes = Math.max(train.target.classes, test.target.classes);
  const names = train.target.names ?? test.target.names;
  const target = { kind: 'class', classes, names: names?.length === classes ? names : undefined } as const;
  return { train: { ...train, target }, test: { ...test, target } };
}
