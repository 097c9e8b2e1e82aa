import type { Tensor } from '../tensor/tensor.js';
import type { TrainingRun } from './engine.js';
import { type CompiledForward, type ForwardOptions, openForward } from './forward.js';
import { type CompiledStep, type LoopOptions, openLoop } from './loop.js';
import { type CompiledResident, openResidentRun, type ResidentOptions } from './resident.js';
import { type CompiledTfjsStep, openTfjs, type TfjsOptions } from './tfjs/run.js';

/** A compiled step as plain data, and what runs it. */
export type Load =
  | { readonly how: 'loop'; readonly step: CompiledStep; readonly options: LoopOptions }
  | { readonly how: 'resident'; readonly step: CompiledResident; readonly options: ResidentOptions }
  | { readonly how: 'forward'; readonly step: CompiledForward; readonly options: ForwardOptions }
  | { readonly how: 'tfjs'; readonly step: CompiledTfjsStep; readonly options: TfjsOptions };

/** Loads a step in this thread. */
export function openHere(load: Load, state: ReadonlyMap<string, Tensor>): Promise<TrainingRun> {
  switch (load.how) {
    case 'loop':
      return openLoop(load.step, state, load.options);
    case 'resident':
      return openResidentRun(load.step, state, load.options);
    case 'forward':
      return openForward(load.step, load.options);
    case 'tfjs':
      return openTfjs(load.step, state, load.options);
  }
}
