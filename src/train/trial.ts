import type { OnnxFile } from '../onnx/read.js';
import type { PrecisionName } from '../options.js';
import type { Analysis } from '../shape/analyse.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { StepGraph } from './engine.js';
import { type Network, type NetworkOptions, openNetwork } from './network.js';
import { MOST_SKIPPED } from './lossScale.js';
import { feedNames } from './step.js';

/** Seconds of one step, the first one (in which kernels are compiled) left out. */
export interface Speed {
  readonly device: number;
  readonly cpu: number;
}

export interface Trial {
  /** What the device gets wrong; absent where it agrees. */
  readonly complaint?: string;
  /** Absent where that was not measured. */
  readonly speed?: Speed;
}

/** How far a step on a device may be off. */
interface Tolerance {
  /** Of the loss. */
  readonly loss: number;
  /** Of what the step changes about a tensor, and of the greatest change of all. */
  readonly change: number;
  readonly noise: number;
}

const tolerances: Record<PrecisionName, Tolerance> = {
  fp32: { loss: 1e-3, change: 2e-2, noise: 1e-3 },
  fp16: { loss: 2e-2, change: 0.2, noise: 2e-2 },
};
/** Relative precision of float32, a few times over: what rounding alone may change about a weight. */
const ROUNDING = 5e-7;
/** Steps of which the faster half is looked at. */
const TIMED = 4;

/** Where a model learns its own outputs again, or is right already, the gradient at its weights is nothing but rounding. */
const SHAKEN = 0.1;

/** One step down the whole gradient: what it changes about a weight is the gradient. */
const PLAIN = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;

/**
 * Runs the training step of a model on a device and on the cpu from the same start, and compares the loss and everything
 * that the step changes. So every form that the compiler uses there is proved, in the very shapes it is used in.
 * @param options the place included; the optimizer is left out of it
 * @param feedsOf feeds of one step: real samples
 * @param timed also measures the speed of both
 *
 * **Throws** PROVIDER_UNAVAILABLE when the step does not run on the device.
 */
export async function tryStep(
  file: OnnxFile,
  analysis: Analysis,
  options: NetworkOptions,
  feedsOf: (step: StepGraph) => Promise<Record<string, Tensor>>,
  timed = false,
): Promise<Trial> {
  const still = { ...options, optimizer: PLAIN, clipNorm: undefined, undrawn: true, onRun: undefined, shaken: SHAKEN };
  const device = await openNetwork(file, analysis, still);
  try {
    const onCpu = { engine: 'onnxruntime', provider: 'cpu', precision: 'fp32' } as const;
    const cpu = await openNetwork(file, analysis, { ...still, ...onCpu });
    try {
      const feeds = { ...scalars(device.step), ...(await feedsOf(device.step)) };
      const before = await cpu.run.state();
      const [expected, actual] = [await cpu.run.run(copied(feeds)), await taken(device, feeds)];
      const tolerance = tolerances[options.precision ?? 'fp32'];
      const complaint =
        lossApart(actual.loss, expected.loss, tolerance.loss) ??
        stateApart(before, await device.run.state(), await cpu.run.state(), tolerance);
      if (complaint !== undefined || !timed) return complaint === undefined ? {} : { complaint };
      return { speed: { device: await secondsOf(device, feeds), cpu: await secondsOf(cpu, feeds) } };
    } finally {
      await cpu.close();
    }
  } finally {
    await device.close();
  }
}

/** Rates and strengths: the gradient is taken as it is, and hardly anything is drawn to zero. */
function scalars(step: StepGraph): Record<string, Tensor> {
  const values: Record<string, number> = {
    [feedNames.rate]: 1,
    [feedNames.lambda]: 1e-4,
  };
  const fed = step.feeds.filter(({ name }) => name in values);
  return Object.fromEntries(fed.map(({ name }) => [name, float32([1], Float32Array.of(values[name]))]));
}

/** Runs a step until the loss scale lets it pass: what is skipped changes nothing else. */
async function taken({ run }: Network, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>> {
  for (let i = 0; ; i++) {
    const metrics = await run.run(copied(feeds));
    if (!metrics.skipped?.[0] || i >= MOST_SKIPPED) return metrics;
  }
}

/** A run may take the buffers that it is fed. */
function copied(feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, t]) => [name, { ...t, data: t.data.slice() as Tensor['data'] }]),
  );
}

async function secondsOf({ run }: Network, feeds: Readonly<Record<string, Tensor>>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < TIMED; i++) {
    const fed = copied(feeds);
    const began = performance.now();
    await run.run(fed);
    times.push((performance.now() - began) / 1000);
  }
  return times.sort((a, b) => a - b)[TIMED / 2 - 1];
}

/** @returns how the losses of the same steps differ, or undefined where they agree. */
export function lossApart(
  actual: Float32Array,
  expected: Float32Array,
  tolerance = tolerances.fp32.loss,
): string | undefined {
  const at = expected.findIndex((loss, i) => !(Math.abs(actual[i] - loss) <= tolerance * (Math.abs(loss) + tolerance)));
  return at < 0 ? undefined : `its loss is ${actual[at].toPrecision(6)}, not ${expected[at].toPrecision(6)}`;
}

/** @returns where two states that came from one differ by more than what changed allows, or undefined. */
export function stateApart(
  before: ReadonlyMap<string, Tensor>,
  actual: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  tolerance: Tolerance,
): string | undefined {
  const changes = new Map(
    [...expected].map(([name, after]) => [name, rootMeanSquare(numbersOf(after), numbersOf(before.get(name)!))]),
  );
  const greatest = Math.max(...changes.values());
  for (const [name, after] of expected) {
    const [change, values] = [changes.get(name)!, numbersOf(after)];
    const error = rootMeanSquare(numbersOf(actual.get(name)!), values);
    if (!(error <= tolerance.change * change + tolerance.noise * greatest + ROUNDING * rootMeanSquare(values))) {
      const share = ((100 * error) / Math.max(change, Number.MIN_VALUE)).toFixed(0);
      return `what it makes of ${name} is off by ${share} % of the change`;
    }
  }
  return undefined;
}

function numbersOf({ data }: Tensor): Float32Array {
  return data as Float32Array;
}

function rootMeanSquare(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - (b?.[i] ?? 0)) ** 2;
  return Math.sqrt(sum / Math.max(1, a.length));
}
