import { SHARE_ENV, Worker } from 'node:worker_threads';
import { CgesError, type ErrorCode } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import type { TrainingRun } from './engine.js';
import { type CompiledStep, type LoopOptions, openLoop } from './loop.js';
import { type CompiledTfjsStep, openTfjs, type TfjsOptions } from './tfjs/run.js';

/** A compiled step, and what runs it. */
export type Load =
  | { readonly engine: 'onnxruntime'; readonly step: CompiledStep; readonly options: LoopOptions }
  | { readonly engine: 'tfjs'; readonly step: CompiledTfjsStep; readonly options: TfjsOptions };

/** Loads a step in this thread. */
export function openHere(load: Load, state: ReadonlyMap<string, Tensor>): Promise<TrainingRun> {
  return load.engine === 'tfjs' ? openTfjs(load.step, state, load.options) : openLoop(load.step, state, load.options);
}

/** What the thread is asked. */
export type Request =
  | {
      readonly id: number;
      readonly ask: 'load';
      readonly load: Load;
      readonly state: ReadonlyMap<string, Tensor>;
    }
  | { readonly id: number; readonly ask: 'run'; readonly feeds: Readonly<Record<string, Tensor>> }
  | { readonly id: number; readonly ask: 'state' }
  | { readonly id: number; readonly ask: 'close' };

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number;
      readonly error: { readonly message: string; readonly code?: ErrorCode; readonly hint?: string };
    };

/** What a loaded step runs on. */
export type Where = Pick<TrainingRun, 'engine' | 'provider' | 'threads'>;

type Unnumbered = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

/**
 * Runs a compiled step in a thread of its own: engines block the thread that calls them, and this one has batches to
 * prepare, progress to show and Ctrl-C to hear. From TypeScript sources (tests) it runs in this thread: Node has no
 * loader for them there.
 */
export async function openInBackground(load: Load, state: ReadonlyMap<string, Tensor>): Promise<TrainingRun> {
  if (import.meta.url.endsWith('.ts')) return openHere(load, state);
  // TensorFlow reads its settings from the environment of the process.
  const env = load.engine === 'tfjs' ? SHARE_ENV : undefined;
  const worker = new Worker(new URL('./background-thread.js', import.meta.url), { env });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let asked = 0;
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('message', (reply: Reply) => {
    const promise = waiting.get(reply.id)!;
    waiting.delete(reply.id);
    if ('answer' in reply) return promise.resolve(reply.answer as never);
    const { code, message, hint } = reply.error;
    promise.reject(code ? new CgesError(code, message, { hint }) : new Error(message));
  });
  worker.on('error', fail);
  worker.on('exit', (code) =>
    fail(new CgesError('PROVIDER_UNAVAILABLE', `the training thread ended unexpectedly (code ${code})`)),
  );
  const ask = <T>(request: Unnumbered, transfer: ArrayBuffer[] = []): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const id = ++asked;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id }, transfer);
    });
  let where: Where;
  try {
    where = await ask<Where>({ ask: 'load', load, state });
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return {
    ...where,
    run: (feeds) => ask<Record<string, Float32Array>>({ ask: 'run', feeds }, owned(feeds)),
    state: () => ask<Map<string, Tensor>>({ ask: 'state' }),
    async close() {
      await ask({ ask: 'close' });
      worker.removeAllListeners('exit');
      await worker.terminate();
    },
  };
}

/** The buffers that feeds fill entirely: they move to the thread instead of being copied. */
function owned(feeds: Readonly<Record<string, Tensor>>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(feeds)) {
    if (!Array.isArray(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength)
      buffers.add(data.buffer);
  }
  return [...buffers];
}
