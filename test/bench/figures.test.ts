import { describe, expect, it } from 'vitest';
import { kernelTable, verdictOf } from '../../bench/kernelFigures.js';
import { figuresOf, netTable, stepFlops } from '../../bench/netFigures.js';
import { placementOf, placementTable } from '../../bench/profile.js';
import { conclusion, slopeOf } from '../../bench/residencyFigures.js';

const series = {
  net: { name: 'net', unit: 'img' as const },
  batch: 10,
  macs: 1e9,
  rounds: [
    { ms: 100, deviceMs: 90 },
    { ms: 120, deviceMs: 100 },
    { ms: 110, deviceMs: 95 },
  ],
  torch: { nchw: [200, 120, 110] },
};

describe('figures of nets', () => {
  it('count six operations for a multiply–accumulate of the forward pass', () => {
    expect(stepFlops(7)).toBe(42);
  });

  it('are medians, ratios those of the rounds', () => {
    const figures = figuresOf(series, 100);
    expect(figures.ms).toBe(110);
    expect(figures.perSecond).toBeCloseTo(90.9, 1);
    expect(figures.gflops).toBeCloseTo(54.5, 1);
    expect(figures.ofProduct).toBeCloseTo(0.545, 3);
    expect(figures.deviceMs).toBe(95);
    expect(figures.hostMs).toBe(15);
    expect(figures.torch[0].ratio).toBe(1);
    expect(figures.torch[0].ms).toBe(120);
  });

  it('make a table in which a net that failed says why', () => {
    const table = netTable([figuresOf(series, 100), { net: { name: 'other', unit: 'seq' }, batch: 4, why: 'no room' }]);
    expect(table).toContain('90.9 img');
    expect(table).toContain('55 %');
    expect(table).toContain('PyTorch nchw');
    expect(table).toContain('other: no room');
  });
});

describe('figures of forms', () => {
  const forms = new Map([
    ['taps', { ms: 3 }],
    ['im2col', { ms: 2 }],
    ['wrong', { ms: 1, differs: true }],
    ['absent', { why: 'no kernel\nat all' }],
  ]);

  it('hold the choice against the fastest form with the right result', () => {
    expect(verdictOf({ kind: 'dw', title: '', forms, chosen: 'taps' })).toEqual({ fastest: 'im2col', ratio: 1.5 });
    expect(verdictOf({ kind: 'dw', title: '', forms })).toEqual({ fastest: 'im2col' });
    expect(verdictOf({ kind: 'dw', title: '', forms: new Map() })).toBeUndefined();
  });

  it('make a table that marks the choice and says what did not run', () => {
    const table = kernelTable('dw', [{ kind: 'dw', title: 'a case', forms, chosen: 'taps' }]);
    expect(table).toContain('3.00*');
    expect(table).toContain('≠ 1.00');
    expect(table).toContain('1.50× slower');
    expect(table).toContain('absent: — no kernel');
  });
});

describe('residency', () => {
  it('is judged by what a megabyte costs', () => {
    expect(
      slopeOf([
        [1, 3],
        [2, 5],
        [4, 9],
      ]),
    ).toBeCloseTo(2);
    const at = (kept: number, moved: number) =>
      [1, 16, 64].map((mb) => ({ megabytes: mb, kept: kept * mb, moved: moved * mb }));
    expect(conclusion(at(0.1, 1), true)).toMatch(/0\.100 ms.*1\.000 ms: the state stays/);
    expect(conclusion(at(0.9, 1), true)).toMatch(/crosses the bus/);
    expect(conclusion(at(0.9, 1), false)).toMatch(/share one memory/);
  });
});

describe('a profile', () => {
  const event = (name: string, provider: string, op: string, dur: number) => ({
    cat: 'Node',
    name: `${name}_kernel_time`,
    dur,
    args: { op_name: op, provider, node_index: '1' },
  });
  const events = [
    event('a', 'CPUExecutionProvider', 'Or', 100),
    event('b', 'WebGpuExecutionProvider', 'Conv', 1000),
    event('b', 'WebGpuExecutionProvider', 'Conv', 2000),
    event('c', 'WebGpuExecutionProvider', 'Conv', 500),
    event('d', 'WebGpuExecutionProvider', 'Add', 0),
    { cat: 'Session', name: 'model_run', dur: 9999 },
  ];

  it('counts nodes once, and time every time', () => {
    expect(placementOf(events)).toEqual([
      {
        provider: 'WebGpuExecutionProvider',
        nodes: 3,
        ms: 3.5,
        operators: [
          ['Conv', 2],
          ['Add', 1],
        ],
      },
      { provider: 'CPUExecutionProvider', nodes: 1, ms: 0.1, operators: [['Or', 1]] },
    ]);
    expect(placementTable(new Map([['net', placementOf(events)]]))).toContain('2 Conv, 1 Add');
  });
});
