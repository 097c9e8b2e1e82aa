import { exitCodes } from '../src/errors.js';

/**
 * Ctrl-C once asks the work to end in its best valid model, twice ends the process at once.
 * `release` gives the signals back.
 */
export function onInterrupt(say: (text: string) => void): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const handle = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
    say('\nstopping at the next safe point; press Ctrl-C again to quit at once\n');
  };
  // Windows knows no SIGTERM, but accepts a listener for it.
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', handle);
      process.off('SIGTERM', handle);
    },
  };
}
