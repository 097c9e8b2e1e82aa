import { GraphBuilder, TRAINING_OPSET, type Value } from '../src/onnx/builder.js';
import type { Engine } from '../src/onnx/engine.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../src/onnx/make.js';
import type { ModelProto } from '../src/onnx/proto.js';
import { tidied } from '../src/onnx/tidied.js';
import { encodeModel } from '../src/onnx/write.js';
import { openResident } from '../src/runtime/resident.js';
import { openSession } from '../src/runtime/session.js';
import { bool, float32, int64, sizeOf, type Tensor } from '../src/tensor/tensor.js';
import type { StepGraph } from '../src/train/engine.js';
import { compileTfjs, openTfjs } from '../src/train/tfjs/run.js';
import { loops } from '../src/train/engines.js';
import type { Place } from './place.js';

/** A piece of a step graph, to be timed by itself on operands that lie where the engine computes. */
export interface Kernel {
  readonly target: Engine;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** @returns what has to be computed. */
  emit(g: GraphBuilder, inputs: ReadonlyMap<string, Value>): readonly Value[];
}

export interface TimedKernel {
  /** Mean over the first elements of all results, as far as rounds have read them. */
  readonly probe: number;
  /** @returns milliseconds of one run, its mean over about 50 ms */
  round(): Promise<number>;
  close(): Promise<void>;
}

/** A kernel as a graph: reads its operands and `unused`, makes one number of which every result is needed. */
interface Built {
  readonly g: GraphBuilder;
  readonly nodes: ReturnType<typeof tidied>;
  readonly probe: Value;
  readonly inputs: ReadonlyMap<string, Tensor>;
}

/** Runs the kernel so many times. @returns the probe */
type Runs = (times: number) => Promise<number>;

const PROBED = 64;
const ROUND_MS = 50;
const MOST_RUNS = 1000;

/** Loads a kernel, runs it once, and finds out how many runs a round takes. */
export async function openKernel(kernel: Kernel, place: Place): Promise<TimedKernel> {
  const built = build(kernel);
  const open = place.engine === 'tfjs' ? openOnTfjs : loops(place.provider) ? openInLoop : openOnDevice;
  const { runs, close } = await open(built, place);
  const timed = async (times: number) => {
    const started = performance.now();
    probe = await runs(times);
    return (performance.now() - started) / times;
  };
  let probe = Number.NaN;
  try {
    await timed(1);
    const first = await timed(1);
    const times = Math.max(1, Math.min(MOST_RUNS, Math.round(ROUND_MS / first)));
    return {
      get probe() {
        return probe;
      },
      round: () => timed(times),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @returns the operators that a kernel comes to, which tell its form */
export function operatorsOf(kernel: Kernel): string {
  return build(kernel)
    .nodes.map((n) => n.opType)
    .join(' ');
}

function build({ target, inputs, emit }: Kernel): Built {
  const g = new GraphBuilder(target);
  const given = new Map<string, Value>();
  for (const [name, { dtype, dims }] of [...inputs, [UNUSED, float32([], [0])] as const]) {
    g.reserve(name);
    given.set(name, { name, dtype, shape: dims });
  }
  const parts = emit(g, given).map((value) => {
    const flat = g.reshape(value, [sizeOf(value.shape)]);
    return g.reduceMean(g.slice(flat, [0], [0], [PROBED]), [0]);
  });
  const probe = parts.reduce((a, b) => g.add(a, b), given.get(UNUSED)!);
  return { g, nodes: tidied(g, [probe.name]), probe, inputs };
}

/** A number that every run is fed. */
const UNUSED = 'unused';

const info = (name: string, { dtype, dims }: Tensor) => makeValueInfo(name, dtype, dims);

/** All runs in one `Loop` whose body reads the operands from outside. */
async function openInLoop({ g, nodes, probe, inputs }: Built, { provider, threads }: Place) {
  const body = makeGraph({
    name: 'run',
    node: [makeNode('Identity', ['go'], ['go_on'], {}, { name: 'go_on' }), ...nodes],
    input: [makeValueInfo('iteration', 'int64', []), makeValueInfo('go', 'bool', [])],
    output: [makeValueInfo('go_on', 'bool', []), makeValueInfo(probe.name, 'float32', [])],
  });
  const graph = makeGraph({
    name: 'runs',
    node: [makeNode('Loop', ['times', 'start'], ['probes'], { body: { graph: body } }, { name: 'runs' })],
    initializer: [makeTensor('start', bool([], [true])), ...g.initializers],
    input: [makeValueInfo('times', 'int64', []), ...operands(inputs)],
    output: [makeValueInfo('probes', 'float32', ['times'])],
  });
  const model = makeModel(graph, TRAINING_OPSET, [...g.domains]);
  const session = await openSession(model, { provider, threads: { intraOp: threads }, spinning: false });
  const feeds = { ...Object.fromEntries(inputs), [UNUSED]: float32([], [0]) };
  const runs: Runs = async (times) => {
    const { probes } = await session.run({ ...feeds, times: int64([], [times]) });
    return (probes.data as Float32Array)[times - 1];
  };
  return { runs, close: () => session.close() };
}

function operands(inputs: ReadonlyMap<string, Tensor>) {
  return [...[...inputs].map(([name, tensor]) => info(name, tensor)), makeValueInfo(UNUSED, 'float32', [])];
}

/** One run after the other, on operands that a first session has left on the device. */
async function openOnDevice({ g, nodes, probe, inputs }: Built, { provider }: Place) {
  const graph = makeGraph({
    name: 'run',
    node: [...nodes],
    initializer: g.initializers,
    input: operands(inputs),
    output: [makeValueInfo(probe.name, 'float32', [])],
  });
  const session = await openResident(encodeModel(makeModel(graph, TRAINING_OPSET, [...g.domains])), provider, []);
  const sender = await openResident(
    encodeModel(senderModel(inputs)),
    provider,
    [...inputs.keys()].map((n) => `on/${n}`),
  );
  const sent = await sender.run(new Map([...inputs].map(([name, tensor]) => [name, sender.upload(tensor)])));
  const feeds = new Map([...inputs.keys()].map((name) => [name, sent.get(`on/${name}`)!]));
  feeds.set(UNUSED, session.upload(float32([], [0])));
  const runs: Runs = async (times) => {
    let value = Number.NaN;
    for (let i = 0; i < times; i++) value = Number(session.read((await session.run(feeds)).get(probe.name)!).data[0]);
    return value;
  };
  const close = async () => {
    for (const value of sent.values()) value.dispose();
    await sender.close();
    await session.close();
  };
  return { runs, close };
}

function senderModel(inputs: ReadonlyMap<string, Tensor>): ModelProto {
  const graph = makeGraph({
    name: 'send',
    node: [...inputs.keys()].map((name) => makeNode('Identity', [name], [`on/${name}`])),
    input: [...inputs].map(([name, tensor]) => info(name, tensor)),
    output: [...inputs].map(([name, tensor]) => info(`on/${name}`, tensor)),
  });
  return makeModel(graph, TRAINING_OPSET);
}

/** As steps whose state are the operands. */
async function openOnTfjs({ g, nodes, probe, inputs }: Built, { threads }: Place) {
  const state = [...inputs].map(([name, { dtype, dims }]) => ({ name, dtype, shape: dims, next: `next/${name}` }));
  const kept = state.map(({ name, next }) => makeNode('Identity', [name], [next], {}, { name: next }));
  const values = new Map(g.values);
  for (const { next, dtype, shape } of state) values.set(next, { dtype, shape });
  const step: StepGraph = {
    graph: { nodes: [...nodes, ...kept], initializers: g.initializers, domains: g.domains, values },
    state,
    feeds: [{ name: UNUSED, dtype: 'float32', shape: [] }],
    metrics: [{ name: 'probe', value: probe.name }],
  };
  const run = await openTfjs(compileTfjs(step), inputs, { threads });
  const runs: Runs = async (times) => {
    const { probe: probes } = await run.run({ [UNUSED]: float32([times], new Float32Array(times)) });
    return probes[times - 1];
  };
  return { runs, close: () => run.close() };
}
