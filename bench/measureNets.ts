import { setTimeout } from 'node:timers/promises';
import { openMatrixProduct } from './matrixProduct.js';
import { percentile } from '../src/validate/latency.js';
import { figuresOf, netFootnote, netTable, type NetFailure, type NetFigures, short } from './netFigures.js';
import type { BenchNet } from './nets.js';
import type { Place, Scale } from './place.js';
import { openTimedNet, type NetRound, type TimedNet } from './timedNet.js';
import { type Layout, layouts, type Torch } from './torch.js';

export interface NetOptions {
  readonly place: Place;
  readonly scale: Scale;
  readonly rounds: number;
  /** In place of the nets' own. */
  readonly batch?: number;
  readonly torch?: Torch;
}

export interface NetResults {
  /** GFLOP/s of the matrix product, and its rows. */
  readonly product: number;
  readonly size: number;
  readonly nets: readonly (NetFigures | NetFailure)[];
}

/** Pause between two sides: threads of the last one have gone to sleep then. */
const REST_MS = 60;

/** Times the nets one after the other, each in rounds in which the matrix product and PyTorch take their turns. */
export async function measureNets(chosen: readonly BenchNet[], options: NetOptions): Promise<NetResults> {
  const { place, scale } = options;
  const product = await openMatrixProduct(place, scale);
  const measured: (Series | NetFailure)[] = [];
  try {
    const rates = [await product.round()];
    for (const net of chosen) {
      process.stderr.write(`${net.name}\n`);
      measured.push(await measureNet(net, options, async () => rates.push(await product.round())));
    }
    const rate = percentile(rates, 0.5);
    const rows = measured.map((m) => ('why' in m ? m : figuresOf(m, rate)));
    return { product: rate, size: product.size, nets: rows };
  } finally {
    await product.close();
  }
}

type Series = Parameters<typeof figuresOf>[0];

async function measureNet(
  net: BenchNet,
  { place, scale, rounds, batch = net.batch[scale], torch }: NetOptions,
  measureProduct: () => Promise<unknown>,
): Promise<Series | NetFailure> {
  let timed: TimedNet;
  try {
    timed = await openTimedNet(net, batch, place);
  } catch (error) {
    return { net, batch, why: (error as Error).message };
  }
  const ours: NetRound[] = [];
  const theirs: Partial<Record<Layout, number[]>> = {};
  const steps = { name: net.name, batch: timed.batch, momentum: net.momentum, rate: net.rate, lambda: net.lambda };
  const kinds = torch ? (net.unit === 'seq' ? layouts.slice(0, 1) : layouts) : [];
  try {
    for (const layout of kinds) await torch!.round({ ...steps, steps: 2 }, layout);
    for (let round = 0; round < rounds; round++) {
      ours.push(await timed.round());
      await setTimeout(REST_MS);
      for (const layout of kinds) {
        (theirs[layout] ??= []).push(await torch!.round({ ...steps, steps: timed.steps }, layout));
        await setTimeout(REST_MS);
      }
      await measureProduct();
    }
    return { net, batch: timed.batch, macs: timed.macs, rounds: ours, torch: theirs };
  } catch (error) {
    return { net, batch: timed.batch, why: (error as Error).message };
  } finally {
    await timed.close();
  }
}

export function netText({ product, size, nets }: NetResults, chosen: readonly BenchNet[]): string {
  return [
    ...chosen.map((n) => `${n.name}: ${n.title}`),
    netTable(nets),
    `Matrix product of ${size} rows, in the same rounds: ${short(product)} GFLOP/s.`,
    netFootnote,
  ].join('\n');
}
