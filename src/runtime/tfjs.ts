import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import { CgesError } from '../errors.js';

/** Packages that bring TensorFlow, the better one first. */
export const tfjsPackages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

export type TfjsPackage = (typeof tfjsPackages)[number];

/** A whole installation. */
export interface FoundTfjs {
  readonly package: TfjsPackage;
  readonly version: string;
  readonly folder: string;
  /** The package is the one for CUDA; whether TensorFlow finds a device shows when it is loaded. */
  readonly gpu: boolean;
}

export interface MissingTfjs {
  readonly missing: string;
  /** A package is there, but its native half is not. */
  readonly partial: boolean;
  readonly hint: string;
}

/** What the native half of tfjs-node offers: TensorFlow's eager operators on handles of tensors. */
export interface TfjsBinding {
  /** The typed array is shared, not copied: it must not change while the tensor lives. */
  createTensor(shape: readonly number[], dtype: number, data: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(op: string, attributes: readonly object[], inputs: readonly number[], outputs: number): { id: number }[];
  /** @returns the session's number; the folder is not needed any more then. */
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  /** @param names of what is fed and fetched, `name:output`, with commas between them */
  runSavedModel(id: number, inputs: readonly number[], inputNames: string, outputNames: string): { id: number }[];
  getNumOfTensors(): number;
  isUsingGpuDevice(): boolean;
}

export interface LoadedTfjs extends FoundTfjs {
  readonly binding: TfjsBinding;
  /** Where operators run. */
  readonly provider: 'cpu' | 'cuda';
}

const INSTALL =
  'npm install @tensorflow/tfjs-node-gpu (CUDA 11.2 and cuDNN 8.1) or @tensorflow/tfjs-node (CPU); --engine onnxruntime needs neither';

/**
 * @returns the installation that would be loaded, looked for in `CGES_TFJS_DIR` where that is set, else in the project in
 *   the current folder and beside this package; or why there is none. Loads nothing, and never throws.
 * @param packages that are looked for, the better one first
 */
export function findTfjs(packages: readonly TfjsPackage[] = tfjsPackages): FoundTfjs | MissingTfjs {
  const halves: string[] = [];
  for (const name of packages) {
    for (const from of startingPoints()) {
      const folder = folderOf(name, from);
      if (folder === undefined) continue;
      const version = versionOf(folder);
      if (hasBinding(folder)) return { package: name, version, folder, gpu: name.endsWith('-gpu') };
      halves.push(`${name} ${version} in ${folder} has no native binding: its install step did not finish`);
    }
  }
  if (halves.length === 0) {
    return { missing: 'neither tfjs-node-gpu nor tfjs-node is installed', partial: false, hint: INSTALL };
  }
  return {
    missing: halves[0],
    partial: true,
    hint: `npm rebuild ${halves[0].split(' ')[0]}, with a network; or ${INSTALL}`,
  };
}

/** Whether the package that would be loaded is the one for GPUs. */
export function tfjsIsForGpu(): boolean {
  const found = findTfjs();
  return !('missing' in found) && found.gpu;
}

function startingPoints(): string[] {
  const given = process.env.CGES_TFJS_DIR;
  return given ? [join(given, 'x.js')] : [join(process.cwd(), 'x.js'), import.meta.url];
}

function folderOf(name: string, from: string): string | undefined {
  try {
    return dirname(createRequire(from).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

function versionOf(folder: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string };
    return version ?? 'of no version';
  } catch {
    return 'of no version';
  }
}

function hasBinding(folder: string): boolean {
  const lib = join(folder, 'lib');
  try {
    return readdirSync(lib).some((entry) => existsSync(join(lib, entry, 'tfjs_binding.node')));
  } catch {
    return false;
  }
}

/** **Throws** PROVIDER_UNAVAILABLE where {@link findTfjs} finds nothing. */
export function requireTfjs(): FoundTfjs {
  const found = findTfjs();
  if (!('missing' in found)) return found;
  throw new CgesError('PROVIDER_UNAVAILABLE', `the tfjs engine cannot be used: ${found.missing}`, { hint: found.hint });
}

let loaded: LoadedTfjs | undefined;

/**
 * Loads TensorFlow, once per thread; takes about a second.
 * @param threads of one operator, and operators at once; read by TensorFlow when it is loaded for the first time in a process
 *
 * **Throws** PROVIDER_UNAVAILABLE where it is absent, half installed, or does not load.
 */
export function loadTfjs(threads?: number): LoadedTfjs {
  if (loaded) return loaded;
  const found = requireTfjs();
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  // By itself it uses oneDNN's kernels only on processors with instructions for 8 bit products: elsewhere, too, they make
  // steps two to four times as fast.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= '1';
  if (threads !== undefined) {
    process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
    process.env.TF_NUM_INTEROP_THREADS ??= String(threads);
  }
  restoreRemoved();
  try {
    const tf = createRequire(join(found.folder, 'x.js'))(found.folder) as { backend(): { binding: TfjsBinding } };
    const { binding } = tf.backend();
    loaded = { ...found, binding, provider: binding.isUsingGpuDevice() ? 'cuda' : 'cpu' };
    return loaded;
  } catch (cause) {
    const [why] = (cause as Error).message.split('\n');
    throw new CgesError('PROVIDER_UNAVAILABLE', `${found.package} ${found.version} does not load: ${why}`, {
      hint: `npm rebuild ${found.package}, with a network; --engine onnxruntime needs none`,
      cause,
    });
  }
}

/** tfjs-node 4.22 calls functions of `util` that Node 23 no longer has. */
function restoreRemoved(): void {
  const removed: Readonly<Record<string, (value: unknown) => boolean>> = {
    isArray: Array.isArray,
    isBoolean: (v) => typeof v === 'boolean',
    isDate: (v) => v instanceof Date,
    isError: (v) => v instanceof Error,
    isFunction: (v) => typeof v === 'function',
    isNull: (v) => v === null,
    isNullOrUndefined: (v) => v === null || v === undefined,
    isNumber: (v) => typeof v === 'number',
    isObject: (v) => typeof v === 'object' && v !== null,
    isPrimitive: (v) => v === null || (typeof v !== 'object' && typeof v !== 'function'),
    isRegExp: (v) => v instanceof RegExp,
    isString: (v) => typeof v === 'string',
    isSymbol: (v) => typeof v === 'symbol',
    isUndefined: (v) => v === undefined,
  };
  const module = util as unknown as Record<string, unknown>;
  for (const [name, test] of Object.entries(removed)) module[name] ??= test;
}
