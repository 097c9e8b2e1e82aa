import { GraphBuilder, type Value } from '../src/onnx/builder.js';
import { openSession } from '../src/runtime/session.js';
import { float32, type Tensor } from '../src/tensor/tensor.js';
import type { StepGraph } from '../src/train/engine.js';
import { stepModel } from '../src/train/resident.js';
import { percentile } from '../src/validate/latency.js';
import { nets } from './nets.js';
import { targetOf } from '../src/train/engines.js';
import { loaderHere, type Place, type Scale } from './place.js';
import { type Placement, profileStep } from './profile.js';
import type { ResidencyFigures } from './residencyFigures.js';
import { feedsOf, loadNet } from './timedNet.js';

const sizes: Readonly<Record<Scale, readonly number[]>> = { full: [1, 16, 64, 256], small: [1, 4, 16, 64] };

/** State is held in tables of at most so many megabytes: buffers of a device have a limit. */
const TABLE_MB = 64;

const STEPS = 4;

/** Times a step that does nothing but add a number to all of its state, at several sizes of the state. */
export async function measureResidency(place: Place, scale: Scale, rounds: number): Promise<ResidencyFigures[]> {
  const figures: ResidencyFigures[] = [];
  for (const megabytes of sizes[scale]) {
    process.stderr.write(`${megabytes} MB\n`);
    const step = await stepOf(megabytes, place);
    const kept = await openKept(step, place);
    const moved = await openMoved(step, place);
    const times: [number[], number[]] = [[], []];
    try {
      for (let round = 0; round < rounds; round++) {
        times[0].push(await kept.round());
        times[1].push(await moved.round());
      }
    } finally {
      await kept.close();
      await moved.close();
    }
    figures.push({ megabytes, kept: percentile(times[0], 0.5), moved: percentile(times[1], 0.5) });
  }
  return figures;
}

/** `table + rate` for every table; the metric reads a corner of each. */
async function stepOf(megabytes: number, place: Place): Promise<StepGraph> {
  const g = new GraphBuilder(await targetOf(place));
  const count = Math.ceil(megabytes / TABLE_MB);
  const shape = [1024, ((megabytes / count) * 2 ** 20) / 4 / 1024];
  const given = (name: string, dims: readonly number[]): Value => {
    g.reserve(name);
    return { name, dtype: 'float32', shape: dims };
  };
  const rate = given('rate', []);
  const tables = Array.from({ length: count }, (_, i) => given(`table${i}`, shape));
  const next = tables.map((table) => g.add(table, rate));
  const corners = next.map((value) => g.reduceMean(g.slice(value, [0, 1], [0, 0], [1, 8]), [0, 1]));
  const metric = corners.reduce((a, b) => g.add(a, b));
  const { nodes, initializers, domains, values } = g;
  return {
    graph: { nodes, initializers, domains, values },
    state: tables.map(({ name, dtype }, i) => ({ name, dtype, shape, next: next[i].name })),
    feeds: [{ name: 'rate', dtype: 'float32', shape: [] }],
    metrics: [{ name: 'corner', value: metric.name }],
  };
}

interface Timed {
  round(): Promise<number>;
  close(): Promise<void>;
}

function zeros(step: StepGraph): Map<string, Tensor> {
  return new Map(step.state.map(({ name, shape }) => [name, float32(shape, new Float32Array(shape[0] * shape[1]))]));
}

async function openKept(step: StepGraph, place: Place): Promise<Timed> {
  const run = await loaderHere(place).load(step, zeros(step));
  const round = async () => {
    const started = performance.now();
    await run.run({ rate: float32([STEPS], new Float32Array(STEPS).fill(1)) });
    return (performance.now() - started) / STEPS;
  };
  await round();
  return { round, close: () => run.close() };
}

/** Where TensorFlow computes, the state is fed to each step and read after it. */
async function openMoved(step: StepGraph, place: Place): Promise<Timed> {
  return place.engine === 'tfjs' ? openFed(step, place) : openStateless(step, place);
}

async function openStateless(step: StepGraph, { provider, threads }: Place): Promise<Timed> {
  const session = await openSession(stepModel(step), { provider, threads: { intraOp: threads }, spinning: false });
  let state = zeros(step);
  const round = async () => {
    const started = performance.now();
    const results = await session.run({ ...Object.fromEntries(state), rate: float32([], [1]) });
    state = new Map(step.state.map(({ name }) => [name, results[`next:${name}`]]));
    return performance.now() - started;
  };
  await round();
  return { round, close: () => session.close() };
}

async function openFed(step: StepGraph, place: Place): Promise<Timed> {
  const fed = step.state.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const state = step.state.map((s) => ({ ...s, name: `last/${s.name}` }));
  const start = new Map([...zeros(step)].map(([name, tensor]) => [`last/${name}`, tensor]));
  const run = await loaderHere(place).load({ ...step, state, feeds: [...step.feeds, ...fed] }, start);
  const tables = Object.fromEntries([...zeros(step)].map(([name, t]) => [name, { ...t, dims: [1, ...t.dims] }]));
  const round = async () => {
    const started = performance.now();
    await run.run({ ...tables, rate: float32([1], [1]) });
    await run.state();
    return performance.now() - started;
  };
  await round();
  return { round, close: () => run.close() };
}

const PROFILED = ['mnist', 'resnet20'];

/** @returns for each net where the nodes of its step run; onnxruntime only */
export async function measurePlacement(
  place: Place,
  scale: Scale,
  only: readonly string[] = PROFILED,
): Promise<Map<string, Placement[]>> {
  const placements = new Map<string, Placement[]>();
  for (const net of nets.filter((n) => only.includes(n.name))) {
    process.stderr.write(`profile of ${net.name}\n`);
    const { network } = await loadNet(net, net.batch[scale], place);
    try {
      const state = await network.run.state();
      placements.set(net.name, await profileStep(network.step, state, feedsOf(network, net, 1), place));
    } finally {
      await network.close();
    }
  }
  return placements;
}
