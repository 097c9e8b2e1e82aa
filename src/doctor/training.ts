import type { ConcreteProvider } from '../runtime/providers.js';
import type { OnnxruntimeFacts, TfjsFacts, TrainingFacts } from './diagnosis.js';

/** Providers that reach a GPU, in the order in which they are preferred; TensorRT must be asked for. */
const ORDER: readonly ConcreteProvider[] = ['cuda', 'webgpu', 'dml', 'coreml'];

/** @returns what would be trained on, by what was found. */
export function chooseTraining({ providers }: OnnxruntimeFacts, tfjs: readonly TfjsFacts[]): TrainingFacts {
  const working = providers.filter((p) => p.state === 'works');
  const rest = {
    providers: working.map((p) => p.name),
    engines: [
      ...(working.length > 0 ? (['onnxruntime'] as const) : []),
      ...(tfjs.some((p) => p.state === 'works') ? (['tfjs'] as const) : []),
    ],
  };
  const fast = ORDER.find((name) => working.some((p) => p.name === name && !p.software));
  if (fast) return { engine: 'onnxruntime', provider: fast, why: 'it reaches a GPU', ...rest };
  const gpu = tfjs.find((p) => p.state === 'works' && p.device === 'cuda');
  if (gpu) return { engine: 'tfjs', provider: 'cuda', why: 'only TensorFlow.js reaches a GPU', ...rest };
  if (working.length === 0) return { engine: 'onnxruntime', provider: 'cpu', why: 'but it does not load', ...rest };
  return { engine: 'onnxruntime', provider: 'cpu', why: 'nothing reaches a GPU', ...rest };
}
