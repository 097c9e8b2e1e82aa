import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result, Task } from './result.js';

/** Runs tasks in child processes, so many at once; heavy ones last, one by one and alone. */
export async function runAll<T extends { readonly task: Task; readonly heavy: boolean }>(
  tasks: readonly T[],
  options: { readonly jobs: number; readonly seconds: number },
  done: (entry: T, result: Result, seconds: number) => Promise<void>,
): Promise<void> {
  const run = async (open: T[]) => {
    for (let entry = open.shift(); entry; entry = open.shift()) {
      const started = performance.now();
      const result = await inChild(entry.task, options.seconds);
      await done(entry, result, (performance.now() - started) / 1000);
    }
  };
  const light = tasks.filter((t) => !t.heavy);
  await Promise.all(Array.from({ length: options.jobs }, () => run(light)));
  await run(tasks.filter((t) => t.heavy));
}

function inChild(task: Task, seconds: number): Promise<Result> {
  const here = fileURLToPath(import.meta.url);
  const child = fork(here.replace(/pool(\.\w+)$/, `child${extname(here)}`), [], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr!.on('data', (text) => {
    errors = `${errors}${text}`.slice(-2000);
  });
  return new Promise((resolve) => {
    let answer: Result | undefined;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    child.on('message', (result: Result) => {
      answer = result;
    });
    child.on('error', (error) => {
      errors += error.message;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const ended = late ? `no answer after ${seconds} s` : `the process ended (${signal ?? `exit code ${code}`})`;
      resolve(answer ?? { outcome: 'CRASH', why: `${ended} ${lastLine(errors)}`.trim(), details: { errors } });
    });
    child.send(task);
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
