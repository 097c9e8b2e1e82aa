import { existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CgesError } from '../errors.js';
import { decodeModel, type OnnxFile } from '../onnx/read.js';
import { hashOf } from '../onnx/stored.js';
import { encodeModel } from '../onnx/write.js';
import type { CompressOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { loadCheckpoint, saveCheckpoint } from '../train/checkpoint.js';
import type { TrainPosition } from '../train/trainer.js';
import type { CutFacts } from './remove.js';

/** What a steered λ went by and where it ended: the next round begins there. */
export interface Steering {
  readonly reference: number;
  readonly lambda: number;
  readonly boldness: number;
}

/** Where a job stands, apart from weights and models. */
export interface JobPosition {
  /** From 1. */
  readonly round: number;
  readonly phase: 'sparsify' | 'recover' | 'finish';
  readonly train: TrainPosition;
  /** Rounds that are done. */
  readonly done: readonly { readonly cuts: readonly CutFacts[]; readonly steering?: Steering }[];
  /** What this round has cut so far, and how it was steered once its sparse phase is done. */
  readonly cuts: readonly CutFacts[];
  readonly steering?: Steering;
  /** Factor on the loss of quality that this round may have while it is made sparse. */
  readonly boldness: number;
  /** Scores of the first and the last round that are done, and of the best epoch of this recovery. */
  readonly scores: { readonly first?: number; readonly done?: number; readonly best?: number };
}

/** Models that a job goes back to: what is trained now, the result of the round before, the best epoch so far. */
export type KeptModels = Readonly<Partial<Record<'current' | 'sparse' | 'done' | 'best', OnnxFile>>>;

export interface Kept {
  readonly position: JobPosition;
  readonly state: ReadonlyMap<string, Tensor>;
  readonly models: KeptModels;
}

/** Saves a job from time to time, so that the same command goes on where it was stopped. */
export interface Keeper {
  /** What an earlier run left, for the round and phase that it was in; given once. */
  take(round: number, phase: JobPosition['phase']): Kept | undefined;
  /** The round to begin with. */
  readonly from: Kept | undefined;
  /** @returns whether it is time to save. */
  due(): boolean;
  save(kept: Kept): Promise<void>;
  /** Where it is saved. */
  readonly folder: string;
  /** There is something that the same command goes on from. */
  saved(): boolean;
  /** The job is done: nothing is left to go on from. */
  clear(): Promise<void>;
}

interface Saved {
  readonly job: string;
  readonly position: JobPosition;
}

const SECONDS_BETWEEN_SAVES = 30;
const MODEL = 'model/';
const STATE = 'state/';

/**
 * @param own the folder was not given, but is kept for devices that may be lost: the first save is soon, what belongs to
 *   another run is written over, and the folder goes in the end
 * @throws CgesError CHECKPOINT_INVALID when the folder holds a checkpoint of another model or of other options.
 */
export function openKeeper(folder: string, file: OnnxFile, options: CompressOptions, own = false): Keeper {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new CgesError('OUTPUT_UNWRITABLE', `the checkpoint folder cannot be made: ${(cause as Error).message}`, {
      file: folder,
      cause,
    });
  }
  const path = join(folder, 'checkpoint.onnx');
  const job = fingerprint(file, options);
  const from = existsSync(path) ? load(path, job, file, own) : undefined;
  let left = from;
  let last = own ? -Infinity : performance.now();
  return {
    from,
    folder,
    saved: () => existsSync(path),
    take(round, phase) {
      const kept = left;
      if (!kept || kept.position.round !== round || kept.position.phase !== phase) return undefined;
      left = undefined;
      return kept;
    },
    due: () => performance.now() - last >= (options.checkpointSeconds ?? SECONDS_BETWEEN_SAVES) * 1000,
    async save({ position, state, models }) {
      const tensors = new Map<string, Tensor>();
      for (const [name, tensor] of state) tensors.set(`${STATE}${name}`, tensor);
      for (const [name, model] of Object.entries(models)) {
        if (!model) continue;
        const data = encodeModel(model.model);
        tensors.set(`${MODEL}${name}`, { dtype: 'uint8', dims: [data.length], data });
      }
      await saveCheckpoint<Saved>(path, { state: tensors, position: { job, position } });
      last = performance.now();
    },
    clear: () => (own ? rm(folder, { recursive: true, force: true }) : rm(path, { force: true })),
  };
}

function load(path: string, job: string, file: OnnxFile, own: boolean): Kept | undefined {
  const { position: saved, state: tensors } = loadCheckpoint<Saved>(path);
  if (saved.job !== job) {
    if (own) return undefined;
    throw new CgesError('CHECKPOINT_INVALID', 'the checkpoint belongs to another model, other data or other options', {
      file: path,
      hint: 'give the options of the run that wrote it, or another --checkpoint folder, or delete it',
    });
  }
  const state = new Map<string, Tensor>();
  const models: Partial<Record<string, OnnxFile>> = {};
  for (const [name, tensor] of tensors) {
    if (name.startsWith(STATE)) state.set(name.slice(STATE.length), tensor);
    else
      models[name.slice(MODEL.length)] = {
        ...decodeModel(tensor.data as Uint8Array),
        path: file.path,
        folder: file.folder,
      };
  }
  return { position: saved.position, state, models };
}

/**
 * What must be the same for a run to go on: the model, and every option that says what is to be done. Where it is done may
 * change: a device that was lost can be left.
 */
function fingerprint(file: OnnxFile, options: CompressOptions): string {
  const {
    signal: _s,
    onEvent: _e,
    output: _o,
    checkpoint: _c,
    checkpointSeconds: _k,
    timeBudget: _t,
    force: _f,
    engine: _n,
    provider: _p,
    threads: _h,
    ...rest
  } = options;
  const sorted = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1));
  return hashOf(file).update(JSON.stringify(sorted)).digest('hex');
}
