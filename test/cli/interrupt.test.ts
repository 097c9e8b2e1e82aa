import { afterEach, expect, it, vi } from 'vitest';
import { onInterrupt } from '../../cli/interrupt.js';
import { withProgress } from '../../cli/terminal.js';
import type { CompressEvent } from '../../src/report/events.js';

afterEach(() => vi.restoreAllMocks());

it('Ctrl-C asks the work to end, and a second one ends the process with 130', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const said: string[] = [];
  const { signal, release } = onInterrupt((text) => said.push(text));
  process.emit('SIGINT', 'SIGINT');
  expect(signal.aborted).toBe(true);
  expect(said.join()).toContain('press Ctrl-C again');
  expect(exit).not.toHaveBeenCalled();
  process.emit('SIGINT', 'SIGINT');
  expect(exit).toHaveBeenCalledWith(130);
  release();
});

it('gives the signals back, however the work ends', async () => {
  const before = process.listenerCount('SIGINT');
  const silent = { write: () => {} };
  const terminal = { out: silent, err: silent };
  await withProgress(terminal, {}, async ({ signal }) => signal.aborted);
  const failing = withProgress(terminal, {}, async () => {
    expect(process.listenerCount('SIGINT')).toBe(before + 1);
    throw new Error('on purpose');
  });
  await expect(failing).rejects.toThrow('on purpose');
  expect(process.listenerCount('SIGINT')).toBe(before);
});

it('shows events on the error stream only', async () => {
  const printed = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => ({ write: (text: string) => (printed[name] += text) });
  const event: CompressEvent = { type: 'warning', message: 'two labels are rare' };
  await withProgress({ out: stream('out'), err: stream('err') }, {}, async ({ onEvent }) => onEvent(event));
  expect(printed).toEqual({ out: '', err: '  warning: two labels are rare\n' });
});
