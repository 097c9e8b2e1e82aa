import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What the probes see of a computer; tests make up others. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Version of Node, without the `v`. */
  readonly node: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly home: string;
  /** The folder that is `/`. */
  readonly root: string;
  /** Main file of onnxruntime-node, where it is installed. */
  readonly onnxruntime?: string;
  /** Runs a program to its end, for so many seconds at most. Never throws. */
  run(program: string, args: readonly string[], seconds: number): Promise<Ran>;
}

/** How a program ended. */
export interface Ran {
  /** It ended by itself with exit code 0. */
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
  /** What ended it, where it did not end well: `there is no …`, `ended by signal SIGSEGV`, `took longer than 30 s`. */
  readonly why?: string;
}

/** @returns the computer that this runs on. */
export function thisMachine(env: Readonly<NodeJS.ProcessEnv> = process.env): Machine {
  const { platform, arch } = process;
  return {
    platform,
    arch,
    node: process.versions.node,
    env,
    home: homedir(),
    root: '/',
    onnxruntime: resolved('onnxruntime-node'),
    run: (program, args, seconds) => run(program, args, seconds, env),
  };
}

function resolved(name: string): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(name);
  } catch {
    return undefined;
  }
}

/** Runs a program with an environment of its own. Never throws. */
export function run(
  program: string,
  args: readonly string[],
  seconds: number,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<Ran> {
  const options = { timeout: seconds * 1000, killSignal: 'SIGKILL', maxBuffer: 2 ** 24, windowsHide: true } as const;
  return new Promise((resolve) => {
    execFile(program, args, { ...options, env: env as NodeJS.ProcessEnv }, (error, out, err) => {
      resolve({ ok: error === null, out, err, ...(error && { why: endOf(error, program, seconds) }) });
    }).stdin?.end();
  });
}

function endOf(
  error: Error & { code?: unknown; killed?: boolean; signal?: unknown },
  program: string,
  seconds: number,
) {
  if (error.code === 'ENOENT') return `there is no ${program}`;
  if (error.killed) return `took longer than ${seconds} s`;
  if (error.signal) return `ended by signal ${error.signal}`;
  if (typeof error.code === 'number') return `ended with exit code ${error.code}`;
  return error.message;
}

/** @returns where an absolute path of the machine lies. */
export function at(machine: Machine, path: string): string {
  return machine.root === '/' ? path : join(machine.root, path);
}

export function exists(machine: Machine, path: string): boolean {
  return existsSync(at(machine, path));
}

/** Whether this user may read and write a file. */
export function mayOpen(machine: Machine, path: string): boolean {
  try {
    accessSync(at(machine, path), constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @returns the text of a file, or nothing where it cannot be read. */
export function textOf(machine: Machine, path: string): string | undefined {
  try {
    return readFileSync(at(machine, path), 'utf8');
  } catch {
    return undefined;
  }
}

/** @returns the sorted names in a folder; none where there is no such folder. */
export function namesIn(machine: Machine, path: string): string[] {
  try {
    return readdirSync(at(machine, path)).sort();
  } catch {
    return [];
  }
}

/** Whether this runs in a container, which sees only the devices that it was given. */
export function inContainer(machine: Machine): boolean {
  return exists(machine, '/.dockerenv') || exists(machine, '/run/.containerenv');
}
