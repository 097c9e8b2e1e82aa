import { checkWritable, writeAtomically } from '../src/onnx/atomic.js';
import type { OnEvent } from '../src/report/events.js';
import { type ProgressStream, showProgress } from '../src/report/progress.js';
import { onInterrupt } from './interrupt.js';

/** Where a command prints: results to `out`, progress and errors to `err`. */
export interface Terminal {
  readonly out: ProgressStream;
  readonly err: ProgressStream;
}

/** Options that every command has. */
export interface CommonFlags {
  readonly json?: string;
  readonly quiet?: boolean;
  readonly debug?: boolean;
}

/** Runs one library call with its progress shown and Ctrl-C handled, and writes its result as JSON where that is wanted. */
export async function withProgress<T>(
  terminal: Terminal,
  flags: CommonFlags,
  call: (hooks: { onEvent: OnEvent; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  if (flags.json) await checkWritable(flags.json);
  const progress = showProgress(terminal.err, { quiet: flags.quiet });
  const interrupt = onInterrupt((text) => {
    progress.end();
    terminal.err.write(text);
  });
  try {
    const result = await call({ onEvent: progress.onEvent, signal: interrupt.signal });
    if (flags.json) await writeAtomically(flags.json, new TextEncoder().encode(`${JSON.stringify(result, null, 2)}\n`));
    return result;
  } finally {
    progress.end();
    interrupt.release();
  }
}
