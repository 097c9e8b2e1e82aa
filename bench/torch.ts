import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const layouts = ['nchw', 'channels_last'] as const;

export type Layout = (typeof layouts)[number];

/** Steps to be timed of a net that the script knows. */
export interface TorchSteps {
  readonly name: string;
  readonly batch: number;
  readonly steps: number;
  readonly momentum: number;
  readonly rate: number;
  readonly lambda?: number;
}

/** The same steps in PyTorch eager, in a process that lives as long as the measurement. */
export interface Torch {
  readonly version: string;
  /** `cpu`, or the name of the GPU. */
  readonly device: string;
  /** Runs one round. @returns milliseconds per step */
  round(steps: TorchSteps, layout: Layout): Promise<number>;
  close(): void;
}

/** Beside the sources, wherever this file was compiled to. */
const SCRIPT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './torch_step.py' : '../../bench/torch_step.py', import.meta.url),
);

/**
 * @param device `auto`: the GPU where PyTorch reaches one
 * @returns a running PyTorch, or why there is none.
 */
export async function openTorch(
  python: string,
  threads: number,
  device: 'cpu' | 'auto' = 'cpu',
): Promise<Torch | string> {
  // Threads that wait must not burn the processors that the other side is measured on.
  const quiet = { OMP_WAIT_POLICY: 'PASSIVE', KMP_BLOCKTIME: '0', GOMP_SPINCOUNT: '0', OMP_NUM_THREADS: `${threads}` };
  const child = spawn(python, [SCRIPT, `${threads}`, device], {
    env: { ...process.env, ...quiet },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => resolve(errors.trim().split('\n').at(-1) || `it ended with code ${code}`));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async (): Promise<Record<string, unknown>> => {
    const line = await lines.next();
    if (line.done) throw new Error(`PyTorch stopped: ${await ended}`);
    return JSON.parse(line.value);
  };
  const greeting = await read().catch((error: Error) => error.message);
  if (typeof greeting === 'string') return greeting;
  return {
    version: String(greeting.version),
    device: String(greeting.device),
    async round({ name, batch, steps, momentum, rate, lambda }, layout) {
      const request = { net: name, layout, batch, steps, momentum, rate, lambda: lambda ?? null };
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answerOf(await read());
    },
    close: () => child.kill(),
  };
}

function answerOf({ ms, error }: Record<string, unknown>): number {
  if (error !== undefined) throw new Error(`PyTorch: ${error}`);
  return Number(ms);
}
