import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../cli/program.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { encodeModel } from '../../src/onnx/write.js';

/** Runs the command line in this process. */
export async function run(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
  const printed = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => ({
    write: (text: string) => {
      printed[name] += text;
    },
  });
  const exit = await runProgram(args, { out: stream('out'), err: stream('err') });
  return { exit, ...printed };
}

/** A folder that is gone after the test. */
export async function inFolder<T>(test: (folder: Folder) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'cges cli '));
  try {
    return await test({
      path,
      of: (name) => join(path, name),
      async put(name, content) {
        const bytes = typeof content === 'string' || content instanceof Uint8Array ? content : encodeModel(content);
        await writeFile(join(path, name), bytes);
        return join(path, name);
      },
    });
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

export interface Folder {
  readonly path: string;
  /** @returns the path of a file in it. */
  of(name: string): string;
  put(name: string, content: string | Uint8Array | ModelProto): Promise<string>;
}
