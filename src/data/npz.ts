import { unzipSync } from 'fflate';
import { CgesError } from '../errors.js';
import { type OpenedArray, openArray, partOf, targetOf } from './arrays.js';
import { readBytes } from './bytes.js';
import type { DataFound, Dataset, OpenOptions } from './dataset.js';
import { isTargetName, parseNpy } from './npy.js';

/** Opens an NPZ file: arrays by name, those of the model's inputs, or x and y, data and labels, x_train and x_test, … */
export async function openNpzFile(file: string, options: OpenOptions): Promise<DataFound> {
  const arrays = await readArrays(file, options);
  const names = [...arrays.keys()];
  const inputs = new Set(options.inputs ?? []);
  const isTest = (name: string) => !inputs.has(name) && /(^|[-_])(test|val)([-_]|$)/i.test(name);
  const choices: string[] = [];
  const open = (members: readonly string[]) => openSet(file, members, arrays, options, inputs, choices);
  const tests = names.filter(isTest);
  const trains = names.filter((name) => !isTest(name));
  if (trains.length === 0)
    return { train: await open(tests), choices, warnings: ['only a test set was found: it is used as it is'] };
  const train = await open(trains);
  return { train, test: tests.length > 0 ? await open(tests) : undefined, choices, warnings: [] };
}

async function openSet(
  file: string,
  names: readonly string[],
  arrays: ReadonlyMap<string, OpenedArray>,
  options: OpenOptions,
  inputs: ReadonlySet<string>,
  choices: string[],
): Promise<Dataset> {
  const targets = names.filter((name) => !inputs.has(name) && isTargetName(name));
  const parts = names.filter((name) => !targets.includes(name));
  const listed = names.map((name) => `${name} [${arrays.get(name)!.stored.shape.join(', ')}]`).join(', ');
  if (parts.length === 0 || targets.length > 1)
    throw new CgesError('DATA_INVALID', `which arrays are samples, which one is the target? There are ${listed}`, {
      file,
      hint: `name the samples like the model's inputs${inputs.size > 0 ? ` (${[...inputs].join(', ')})` : ''} or x, and the target y`,
    });
  const length = arrays.get(parts[0])!.source.length;
  const odd = names.find((name) => arrays.get(name)!.source.length !== length);
  if (odd)
    throw new CgesError('DATA_INVALID', `the arrays do not have the same number of samples: ${listed}`, {
      file,
      hint: 'the first axis of every array counts the samples',
    });
  const sample = parts.map((name) => partOf(arrays.get(name)!, options));
  const dataset: Dataset = { format: 'npz', path: file, length, sample };
  if (targets.length === 0) return dataset;
  const { choice, ...target } = await targetOf(arrays.get(targets[0])!, options);
  choices.push(`the array "${targets[0]}" holds the targets`, ...(choice ? [choice] : []));
  return { ...dataset, ...target };
}

async function readArrays(file: string, options: OpenOptions): Promise<Map<string, OpenedArray>> {
  const zipped = await readBytes(file);
  let members: Record<string, Uint8Array>;
  try {
    members = unzipSync(zipped, { filter: ({ name }) => name.endsWith('.npy') });
  } catch (cause) {
    throw new CgesError('DATA_INVALID', 'the NPZ file is damaged or truncated', {
      file,
      hint: 'save it again with numpy.savez',
      cause,
    });
  }
  const arrays = new Map<string, OpenedArray>();
  for (const [member, bytes] of Object.entries(members)) {
    const name = member.slice(0, -'.npy'.length);
    const load = async (start: number, count: number) => bytes.subarray(start, start + count);
    const stored = parseNpy(bytes, { file, name, size: bytes.length, load, inMemory: true });
    arrays.set(name, await openArray(stored, options));
  }
  if (arrays.size === 0)
    throw new CgesError('DATA_INVALID', 'the NPZ file holds no arrays', {
      file,
      hint: 'save it with numpy.savez(file, x=…, y=…)',
    });
  return arrays;
}
