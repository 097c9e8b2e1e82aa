import type { EngineName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { findTfjs, requireTfjs } from '../runtime/tfjs.js';
import { selfTest } from './selfTest.js';

/** What will execute training steps. */
export interface ChosenEngine {
  readonly engine: Exclude<EngineName, 'auto'>;
  /** A better engine that could not be used, and why. */
  readonly refused?: string;
}

/**
 * Resolves `auto`: TensorFlow.js where it is installed, passes the self-test in a process of its own, and onnxruntime
 * reaches no device; whether it is faster than onnxruntime, a step of the job's model has to show.
 *
 * **Throws** PROVIDER_UNAVAILABLE when `tfjs` is asked for and cannot be used.
 */
export async function chooseEngine(wanted: EngineName, provider: ConcreteProvider): Promise<ChosenEngine> {
  if (wanted === 'tfjs') {
    requireTfjs();
    return { engine: 'tfjs' };
  }
  if (wanted === 'onnxruntime' || provider !== 'cpu') return { engine: 'onnxruntime' };
  const found = findTfjs();
  if ('missing' in found) {
    return { engine: 'onnxruntime', ...(found.partial && { refused: found.missing }) };
  }
  const why = await selfTest({ engine: 'tfjs', provider });
  return why === undefined ? { engine: 'tfjs' } : { engine: 'onnxruntime', refused: why };
}
