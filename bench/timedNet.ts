import { CgesError } from '../src/errors.js';
import { analyse } from '../src/shape/analyse.js';
import { type Network, openNetwork } from '../src/train/network.js';
import { feedNames } from '../src/train/step.js';
import { macsOf } from '../src/validate/macs.js';
import { watchEngine } from './engineClock.js';
import type { BenchNet } from './nets.js';
import { loaderHere, type Place } from './place.js';
import { feed } from './trainStep.js';

/** One round of a net's training steps. Units: ms per step. */
export interface NetRound {
  readonly ms: number;
  /** Of these, the time inside the engine's calls. */
  readonly deviceMs: number;
}

export interface TimedNet {
  readonly net: BenchNet;
  readonly batch: number;
  /** Multiply–accumulates of the forward pass for the whole batch. */
  readonly macs: number;
  /** Steps of one round: about half a second. */
  readonly steps: number;
  round(): Promise<NetRound>;
  close(): Promise<void>;
}

const ROUND_MS = 500;
const MOST_STEPS = 50;

/** Compiles a net's step for a place and loads it into this thread. */
export async function loadNet(net: BenchNet, batch: number, place: Place): Promise<{ network: Network; macs: number }> {
  const file = { path: '', folder: '.', bytes: new Uint8Array(), model: net.model() };
  const analysis = await analyse(file);
  const network = await openNetwork(file, analysis, {
    loss: 'cross-entropy',
    output: 0,
    batch,
    microBatches: 1,
    batchNorm: 'live',
    optimizer: { name: 'sgd', momentum: net.momentum, nesterov: false, weightDecay: 0 },
    sparsity: net.lambda === undefined ? undefined : { regularizer: 'cges', grouping: 'channel', m: 0.2 },
    ...place,
    loader: loaderHere(place),
  });
  return { network, macs: macsOf(analysis) * batch };
}

/** @returns feeds for so many steps, drawn from a seed. */
export function feedsOf({ step }: Network, { rate, lambda = 0 }: BenchNet, steps: number) {
  const scalars = { [feedNames.rate]: rate, [feedNames.lambda]: lambda };
  return Object.fromEntries(step.feeds.map((slot, i) => [slot.name, feed(slot, steps, i, scalars, 2)]));
}

/** Opens a net and warms it up; where memory runs out, with half the batch, and half of that. */
export async function openTimedNet(net: BenchNet, batch: number, place: Place): Promise<TimedNet> {
  try {
    return await openWith(net, batch, place);
  } catch (error) {
    if (batch === 1 || !outOfMemory(error)) throw error;
    return openTimedNet(net, batch >> 1, place);
  }
}

function outOfMemory(error: unknown): boolean {
  const { hint = '', message } = error as CgesError;
  return /memory/i.test(`${hint} ${message}`);
}

async function openWith(net: BenchNet, batch: number, place: Place): Promise<TimedNet> {
  const clock = watchEngine(place.engine);
  let network: Network | undefined;
  const close = async () => {
    await network?.close();
    clock.stop();
  };
  try {
    const loaded = await loadNet(net, batch, place);
    network = loaded.network;
    const round = async (steps: number): Promise<NetRound> => {
      const feeds = feedsOf(loaded.network, net, steps);
      clock.take();
      const started = performance.now();
      const { loss } = await loaded.network.run.run(feeds);
      const ms = (performance.now() - started) / steps;
      if (!loss.every(Number.isFinite)) throw new Error(`the loss of ${net.name} is no longer finite`);
      return { ms, deviceMs: clock.take() / steps };
    };
    await round(1);
    const { ms } = await round(1);
    const steps = Math.max(1, Math.min(MOST_STEPS, Math.round(ROUND_MS / ms)));
    return { net, batch, macs: loaded.macs, steps, round: () => round(steps), close };
  } catch (error) {
    await close();
    throw error;
  }
}
