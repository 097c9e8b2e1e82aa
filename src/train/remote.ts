import { CgesError, type ErrorCode } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import type { TrainingRun } from './engine.js';
import type { Load } from './loads.js';

/** What the other side is asked. */
export type Request =
  | { readonly id: number; readonly ask: 'load'; readonly load: Load; readonly state: ReadonlyMap<string, Tensor> }
  | { readonly id: number; readonly ask: 'run'; readonly feeds: Readonly<Record<string, Tensor>> }
  | { readonly id: number; readonly ask: 'state' }
  | { readonly id: number; readonly ask: 'close' };

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number;
      readonly error: { readonly message: string; readonly code?: ErrorCode; readonly hint?: string };
    };

/** A line to the thread or process that owns a training run. */
export interface Line {
  post(request: Request): void;
  onReply(listener: (reply: Reply) => void): void;
  /** Told when the other side ends of itself. */
  onEnd(listener: (why: string) => void): void;
  /** Ends the other side, whatever it is doing. */
  end(): Promise<void>;
}

/** How long answers are waited for, in seconds. */
export interface Patience {
  /** To load a step, to run it for the first time (kernels are compiled then), or to hand out the state. */
  readonly first: number;
  /** To run it again; ten times the longest run so far where that is more. */
  readonly again: number;
}

/** What a loaded step runs on. */
export type Where = Pick<TrainingRun, 'engine' | 'provider' | 'threads'>;

type Unnumbered = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

/**
 * Loads a step on the other side of a line. Whatever happens there ends in an error here: when the other side ends, or
 * (with `patience`) gives no answer in time, it is ended for good.
 *
 * **Throws** (later, from `run` and `state`) DEVICE_LOST when a step that had run runs no more.
 */
export async function openRemote(
  line: Line,
  load: Load,
  state: ReadonlyMap<string, Tensor>,
  patience?: Patience,
): Promise<TrainingRun> {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let asked = 0;
  let longest = 0;
  let ended: string | undefined;
  let where: Where | undefined;

  const failure = (why: string, hint?: string): CgesError => {
    if (where && longest > 0) {
      const { engine, provider } = where;
      const what = engine === 'tfjs' ? `tfjs on ${provider}` : provider;
      return new CgesError('DEVICE_LOST', `${what} was lost in the middle of training: ${why}`);
    }
    return new CgesError('PROVIDER_UNAVAILABLE', `the training step does not run: ${why}`, { hint });
  };
  const fail = (why: string) => {
    ended ??= why;
    for (const { reject } of waiting.values()) reject(failure(ended));
    waiting.clear();
  };
  line.onReply((reply) => {
    const promise = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('answer' in reply) return promise?.resolve(reply.answer as never);
    const { code, message, hint } = reply.error;
    promise?.reject(
      patience && code !== 'PROVIDER_UNAVAILABLE' ? failure(message, hint) : errorOf(code, message, hint),
    );
  });
  line.onEnd(fail);

  const ask = async <T>(request: Unnumbered, seconds?: number): Promise<T> => {
    if (ended !== undefined) throw failure(ended);
    const id = ++asked;
    const answer = new Promise<T>((resolve, reject) => waiting.set(id, { resolve, reject }));
    line.post({ ...request, id });
    if (seconds === undefined) return answer;
    const timer = setTimeout(() => {
      fail(`it gave no answer for ${Math.round(seconds)} seconds`);
      void line.end();
    }, seconds * 1000);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  };

  try {
    where = await ask<Where>({ ask: 'load', load, state }, patience?.first);
  } catch (error) {
    await line.end();
    throw error;
  }
  return {
    ...where,
    async run(feeds) {
      const limit = longest > 0 ? Math.max(patience?.again ?? 0, 10 * longest) : patience?.first;
      const began = performance.now();
      const metrics = await ask<Record<string, Float32Array>>({ ask: 'run', feeds }, patience && limit);
      longest = Math.max(longest, (performance.now() - began) / 1000);
      return metrics;
    },
    state: () => ask<Map<string, Tensor>>({ ask: 'state' }, patience?.first),
    async close() {
      if (ended === undefined) await ask({ ask: 'close' }, patience?.again).catch(() => undefined);
      await line.end();
    },
  };
}

function errorOf(code: ErrorCode | undefined, message: string, hint: string | undefined): Error {
  return code ? new CgesError(code, message, { hint }) : new Error(message);
}
