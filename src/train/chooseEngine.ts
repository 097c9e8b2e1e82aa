import type { EngineName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { findTfjs, loadTfjs, requireTfjs } from '../runtime/tfjs.js';

/** What will execute training steps. */
export interface ChosenEngine {
  readonly engine: Exclude<EngineName, 'auto'>;
  /** Why `auto` took it, where that is not the usual one. */
  readonly why?: string;
  /** A better engine that could not be used, and why. */
  readonly refused?: string;
}

/**
 * Resolves `auto`: onnxruntime, unless TensorFlow.js reaches a GPU and onnxruntime does not. Nothing is loaded but where the
 * package for GPUs is installed.
 *
 * **Throws** PROVIDER_UNAVAILABLE when `tfjs` is asked for and cannot be used.
 */
export function chooseEngine(wanted: EngineName, provider: ConcreteProvider): ChosenEngine {
  if (wanted === 'tfjs') {
    requireTfjs();
    return { engine: 'tfjs' };
  }
  if (wanted === 'onnxruntime' || provider !== 'cpu') return { engine: 'onnxruntime' };
  const found = findTfjs();
  if ('missing' in found) {
    return { engine: 'onnxruntime', ...(found.partial && { refused: found.missing }) };
  }
  if (!found.gpu) return { engine: 'onnxruntime' };
  try {
    if (loadTfjs().provider === 'cuda') return { engine: 'tfjs', why: `${found.package} reaches a GPU` };
    return { engine: 'onnxruntime', refused: `${found.package} finds no GPU` };
  } catch (error) {
    return { engine: 'onnxruntime', refused: (error as Error).message };
  }
}
