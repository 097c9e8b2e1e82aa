import { candidates } from '../runtime/providerNames.js';
import type { OnnxruntimeFacts, TfjsFacts, TrainingFacts } from './diagnosis.js';

/** @returns what would be trained on, by what was found. Whatever the engine, models are judged by onnxruntime. */
export function chooseTraining({ providers }: OnnxruntimeFacts, tfjs: readonly TfjsFacts[]): TrainingFacts {
  const working = providers.filter((p) => p.state === 'works');
  const cpu = { engine: 'onnxruntime', provider: 'cpu' } as const;
  if (working.length === 0) return { ...cpu, why: 'onnxruntime-node does not load', providers: [], engines: [] };
  const rest = {
    providers: working.map((p) => p.name),
    engines: ['onnxruntime' as const, ...(tfjs.some((p) => p.state === 'works') ? ['tfjs' as const] : [])],
  };
  const fast = candidates.find((name) => working.some((p) => p.name === name && !p.software));
  if (fast) return { ...cpu, provider: fast, why: 'it reaches a GPU, and a run tests it first', ...rest };
  const gpu = tfjs.find((p) => p.state === 'works' && p.device === 'cuda');
  if (gpu) return { engine: 'tfjs', provider: 'cuda', why: 'only TensorFlow.js reaches a GPU', ...rest };
  const other = rest.engines.includes('tfjs') ? '; a run takes tfjs where a step of its model is faster by it' : '';
  return { ...cpu, why: `nothing reaches a GPU${other}`, ...rest };
}
