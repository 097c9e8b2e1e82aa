import { plainTable, right } from '../src/report/table.js';
import { percentile } from '../src/validate/latency.js';
import type { BenchNet } from './nets.js';
import type { NetRound } from './timedNet.js';
import type { Layout } from './torch.js';

/** What was measured of one net. */
export interface NetSeries {
  readonly net: Pick<BenchNet, 'name' | 'unit'>;
  readonly batch: number;
  /** Multiply–accumulates of the forward pass for the whole batch. */
  readonly macs: number;
  readonly rounds: readonly NetRound[];
  /** PyTorch's milliseconds per step in the same rounds. */
  readonly torch?: Readonly<Partial<Record<Layout, readonly number[]>>>;
}

/** A net that could not be measured. */
export interface NetFailure {
  readonly net: Pick<BenchNet, 'name' | 'unit'>;
  readonly batch: number;
  readonly why: string;
}

export interface NetFigures {
  readonly name: string;
  readonly unit: 'img' | 'seq';
  readonly batch: number;
  readonly ms: number;
  readonly perSecond: number;
  readonly gflops: number;
  /** Share of the matrix product's rate, 0 … 1. */
  readonly ofProduct: number;
  readonly deviceMs: number;
  readonly hostMs: number;
  readonly torch: readonly TorchFigures[];
}

export interface TorchFigures {
  readonly layout: Layout;
  readonly ms: number;
  readonly perSecond: number;
  /** Median over the rounds, above 1 where this project is faster. */
  readonly ratio: number;
}

/** Forward and twice as much backward, two operations for a multiply–accumulate. */
export function stepFlops(macs: number): number {
  return 3 * 2 * macs;
}

/** @returns medians over the rounds; `product` is the rate of the matrix product in GFLOP/s */
export function figuresOf({ net, batch, macs, rounds, torch = {} }: NetSeries, product: number): NetFigures {
  const median = (values: readonly number[]) => percentile(values, 0.5);
  const ms = median(rounds.map((r) => r.ms));
  const gflops = stepFlops(macs) / ms / 1e6;
  const beside = Object.entries(torch).flatMap(([layout, theirs]): TorchFigures[] => {
    if (theirs.length === 0) return [];
    const ratio = median(theirs.map((t, i) => t / rounds[i].ms));
    return [{ layout: layout as Layout, ms: median(theirs), perSecond: (1000 * batch) / median(theirs), ratio }];
  });
  return {
    name: net.name,
    unit: net.unit,
    batch,
    ms,
    perSecond: (1000 * batch) / ms,
    gflops,
    ofProduct: gflops / product,
    deviceMs: median(rounds.map((r) => r.deviceMs)),
    hostMs: median(rounds.map((r) => r.ms - r.deviceMs)),
    torch: beside,
  };
}

/** Three digits, and no more behind the point than they take. */
export function short(x: number): string {
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
}

const heads = ['step of', 'batch', 'ms/step', 'per second', 'GFLOP/s', 'of product', 'device ms', 'host ms', 'against'];

export const netFootnote =
  'GFLOP/s: 3 × 2 × multiply–accumulates of the forward pass, by time. Device: inside the calls of the engine (session.run; calls of ' +
  "TensorFlow's binding), which wait for the device and hold its own dispatching. Host: the rest of a step, in JavaScript.";

export function netTable(rows: readonly (NetFigures | NetFailure)[]): string {
  const table = plainTable(heads);
  const failed: string[] = [];
  for (const row of rows) {
    if ('why' in row) {
      table.push([row.net.name, right(`${row.batch}`), ...Array.from({ length: 7 }, () => right('—'))]);
      failed.push(`${row.net.name}: ${row.why}`);
      continue;
    }
    const rate = `${short(row.perSecond)} ${row.unit}`;
    const share = `${(100 * row.ofProduct).toFixed(0)} %`;
    const figures = [`${row.batch}`, short(row.ms), rate, short(row.gflops), share, short(row.deviceMs)];
    table.push([row.name, ...figures.map(right), right(short(row.hostMs)), '']);
    for (const t of row.torch) {
      const theirs = ['', short(t.ms), `${short(t.perSecond)} ${row.unit}`, '', '', '', '', `${t.ratio.toFixed(2)}×`];
      table.push([`  PyTorch ${t.layout}`, ...theirs.map(right)]);
    }
  }
  return [table.toString(), ...failed].join('\n');
}
