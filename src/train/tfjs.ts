import { openInBackground } from './background.js';
import type { TrainingEngine } from './engine.js';
import { compileTfjs, type TfjsOptions } from './tfjs/run.js';

/**
 * The engine that executes a step with TensorFlow.js, in a thread of its own. Steps built for `tfjsTarget` bring operators
 * that only it knows; others run as well, with slower gradients.
 */
export function tfjsEngine(options: TfjsOptions): TrainingEngine {
  return { load: (step, state) => openInBackground({ how: 'tfjs', step: compileTfjs(step), options }, state) };
}
