import { fork } from 'node:child_process';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { tfjsIsForGpu } from '../runtime/tfjs.js';
import type { Tensor } from '../tensor/tensor.js';
import type { TrainingRun } from './engine.js';
import { type Load, openHere } from './loads.js';
import { type Line, openRemote, type Patience, type Request } from './remote.js';

/** Devices compile their kernels in the first run of a step; later runs take about a second. */
const PATIENCE: Patience = { first: 600, again: 60 };

/**
 * Runs a compiled step beside this thread: engines block the thread that calls them, and this one has batches to
 * prepare, progress to show and Ctrl-C to hear. What runs on the processor gets a thread, what runs on a device a
 * process of its own: a driver that fails ends the process it is loaded in. From TypeScript sources (tests) it runs
 * in this thread: Node has no loader for them there.
 * @param patience what is given some gets a process in any case: a thread cannot be given up
 */
export async function openInBackground(
  load: Load,
  state: ReadonlyMap<string, Tensor>,
  patience = onDevice(load) ? PATIENCE : undefined,
): Promise<TrainingRun> {
  if (import.meta.url.endsWith('.ts')) return openHere(load, state);
  if (!patience) return openRemote(threadLine(load), load, state);
  return openRemote(processLine(), load, state, patience);
}

function onDevice(load: Load): boolean {
  return load.how === 'tfjs' ? tfjsIsForGpu() : load.options.provider !== 'cpu';
}

function threadLine(load: Load): Line {
  // TensorFlow reads its settings from the environment of the process.
  const env = load.how === 'tfjs' ? SHARE_ENV : undefined;
  const worker = new Worker(new URL('./background-thread.js', import.meta.url), { env });
  return {
    post: (request) => worker.postMessage(request, owned(request)),
    onReply: (listener) => worker.on('message', listener),
    onEnd(listener) {
      worker.on('error', (error) => listener(error.message));
      worker.on('exit', (code) => listener(`its thread ended unexpectedly (code ${code})`));
    },
    async end() {
      worker.removeAllListeners('exit');
      await worker.terminate();
    },
  };
}

/** A line to a process of its own, and the number of that process. */
export function processLine(): Line & { readonly pid: number | undefined } {
  const child = fork(new URL('./device-process.js', import.meta.url), {
    serialization: 'advanced',
    // Graphics drivers write warnings of their own.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  let over = false;
  const gone = new Promise<void>((resolve) =>
    child.once('exit', () => {
      over = true;
      resolve();
    }),
  );
  return {
    pid: child.pid,
    post: (request) => void child.send(request, () => undefined),
    onReply: (listener) => child.on('message', listener),
    onEnd(listener) {
      child.on('error', (error) => listener(error.message));
      child.on('exit', (code, signal) =>
        listener(signal ? `its process was ended by ${signal}` : `its process ended (code ${code})`),
      );
    },
    async end() {
      if (!over) child.kill('SIGKILL');
      await gone;
    },
  };
}

/** The buffers that a request's feeds fill entirely: they move to the thread instead of being copied. */
function owned(request: Request): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of request.ask === 'run' ? Object.values(request.feeds) : []) {
    if (!Array.isArray(data) && data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength)
      buffers.add(data.buffer);
  }
  return [...buffers];
}
