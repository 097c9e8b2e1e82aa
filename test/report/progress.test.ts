import { describe, expect, it } from 'vitest';
import type { CompressEvent } from '../../src/report/events.js';
import { showProgress } from '../../src/report/progress.js';

const events: CompressEvent[] = [
  { type: 'phase', phase: 'inspect', message: 'reading net.onnx' },
  { type: 'choice', what: 'loss', value: 'cross-entropy', why: '10 outputs and class labels' },
  { type: 'warning', message: 'two labels are rare' },
  { type: 'metric', phase: 'measure', name: 'accuracy', value: 0.9871, on: 'val', samples: 6000 },
  { type: 'phase', phase: 'sparsify' },
  {
    type: 'progress',
    phase: 'sparsify',
    epoch: 3,
    epochs: 12,
    step: 120,
    steps: 540,
    loss: 0.05324,
    unitsAlive: 431,
    unitsTotal: 1120,
    secondsLeft: 130,
  },
];

function record(options: { isTTY?: boolean; quiet?: boolean; ticks?: number[] }) {
  let text = '';
  const ticks = [...(options.ticks ?? [])];
  const stream = { isTTY: options.isTTY, columns: 60, write: (part: string) => (text += part) };
  const shown = showProgress(stream, { quiet: options.quiet, now: () => ticks.shift() ?? 0 });
  return { ...shown, text: () => text };
}

describe('progress', () => {
  it('is plain lines where there is no terminal', () => {
    const { onEvent, end, text } = record({});
    for (const event of events) onEvent(event);
    end();
    expect(text()).toBe(
      [
        'inspect: reading net.onnx',
        '  chosen: loss = cross-entropy (10 outputs and class labels)',
        '  warning: two labels are rare',
        '  val accuracy 98.71 % (6,000 samples)',
        'sparsify',
        '  sparsify  epoch 3/12  step 120/540  loss 0.0532  units 431/1,120  2 min 10 s left',
        '',
      ].join('\n'),
    );
  });

  it('leaves out plain lines that follow too soon, but never the first one of a phase', () => {
    const step = (n: number): CompressEvent => ({ type: 'progress', phase: 'recover', step: n });
    const { onEvent, text } = record({ ticks: [0, 9_000, 10_000, 11_000, 12_000] });
    for (const n of [1, 2, 3, 4]) onEvent(step(n));
    onEvent({ type: 'phase', phase: 'validate' });
    onEvent(step(5));
    expect(text().match(/step \d/g)).toEqual(['step 1', 'step 3', 'step 5']);
  });

  it('is one line that is redrawn on a terminal, never wider than it, gone at the end', () => {
    const { onEvent, end, text } = record({ isTTY: true, ticks: [0, 1000] });
    onEvent(events[5]);
    onEvent(events[5]);
    end();
    const line = 'sparsify  epoch 3/12  step 120/540  loss 0.0532  units 431/1';
    expect(text()).toBe(`\r\x1b[2K${line.slice(0, 59)}\r\x1b[2K${line.slice(0, 59)}\r\x1b[2K`);
  });

  it('is nothing with quiet', () => {
    const { onEvent, end, text } = record({ isTTY: true, quiet: true });
    for (const event of events) onEvent(event);
    end();
    expect(text()).toBe('');
  });
});
