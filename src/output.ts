import { stat } from 'node:fs/promises';
import { CgesError } from './errors.js';
import { checkWritable } from './onnx/atomic.js';

/**
 * Holds an output path to be usable before hours of work: its folder is there and takes files, it is no folder itself,
 * and it is not the input (unless `force`: then the input is replaced at the end).
 *
 * **Throws** OUTPUT_UNWRITABLE, USAGE.
 */
export async function checkOutput(output: string, more: { input?: string; force?: boolean } = {}): Promise<void> {
  await checkWritable(output);
  if (more.force || more.input === undefined || !(await isSameFile(more.input, output))) return;
  throw new CgesError('USAGE', 'the output is the input file itself', {
    file: output,
    hint: 'give another output path, or --force to replace the input once the result is valid',
  });
}

/** By identity on the disk, so that links and upper and lower case don't hide it. */
async function isSameFile(a: string, b: string): Promise<boolean> {
  try {
    const [x, y] = await Promise.all([stat(a, { bigint: true }), stat(b, { bigint: true })]);
    return x.dev === y.dev && x.ino === y.ino;
  } catch {
    return false;
  }
}
