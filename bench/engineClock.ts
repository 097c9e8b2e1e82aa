import { InferenceSession } from 'onnxruntime-node';
import { loadTfjs, type TfjsBinding } from '../src/runtime/tfjs.js';
import type { EngineName } from './place.js';

/** Adds up the time that this thread spends inside an engine's native half. */
export interface EngineClock {
  /** @returns milliseconds since the last call. */
  take(): number;
  /** Puts back what was replaced. */
  stop(): void;
}

/**
 * Watches all calls into an engine: `session.run` of onnxruntime, every call of TensorFlow's binding. Steps have to run in
 * this thread to be seen.
 */
export function watchEngine(engine: EngineName): EngineClock {
  let ms = 0;
  const add = (since: number) => {
    ms += performance.now() - since;
  };
  const stop = engine === 'tfjs' ? watchBinding(add) : watchSessions(add);
  return {
    take() {
      const taken = ms;
      ms = 0;
      return taken;
    },
    stop,
  };
}

type Run = (this: unknown, ...given: unknown[]) => Promise<unknown>;

function watchSessions(add: (since: number) => void): () => void {
  const { prototype } = InferenceSession as unknown as { prototype: { run: Run } };
  const { run } = prototype;
  prototype.run = async function (...given) {
    const started = performance.now();
    try {
      return await run.apply(this, given);
    } finally {
      add(started);
    }
  };
  return () => {
    prototype.run = run;
  };
}

type Call = (...given: unknown[]) => unknown;

function watchBinding(add: (since: number) => void): () => void {
  const loaded = loadTfjs() as { binding: TfjsBinding };
  const { binding } = loaded;
  const timed =
    (call: Call) =>
    (...given: unknown[]) => {
      const started = performance.now();
      try {
        return call.apply(binding, given);
      } finally {
        add(started);
      }
    };
  // Its properties are read-only: an empty object stands in for it.
  loaded.binding = new Proxy({} as TfjsBinding, {
    get(_, name) {
      const value: unknown = Reflect.get(binding, name);
      return typeof value === 'function' ? timed(value as Call) : value;
    },
  });
  return () => {
    loaded.binding = binding;
  };
}
