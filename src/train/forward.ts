import type { ConcreteProvider } from '../runtime/providers.js';
import { openSession } from '../runtime/session.js';
import type { Tensor } from '../tensor/tensor.js';
import type { TrainingRun } from './engine.js';

/** A forward pass as plain data. */
export interface CompiledForward {
  /** The model, encoded. */
  readonly bytes: Uint8Array;
  /** Names of the float32 values that are wanted. */
  readonly outputs: readonly string[];
}

export interface ForwardOptions {
  readonly provider: ConcreteProvider;
  readonly threads: number;
}

/** Loads a forward pass: a run without state, which takes the inputs of one batch and gives the elements of every output. */
export async function openForward({ bytes, outputs }: CompiledForward, options: ForwardOptions): Promise<TrainingRun> {
  const { provider, threads } = options;
  const session = await openSession(bytes, { provider, threads: { intraOp: threads }, spinning: false });
  return {
    engine: 'onnxruntime',
    ...options,
    async run(feeds: Readonly<Record<string, Tensor>>) {
      const results = await session.run(feeds, outputs);
      return Object.fromEntries(outputs.map((name) => [name, results[name].data as Float32Array]));
    },
    state: async () => new Map(),
    close: () => session.close(),
  };
}
