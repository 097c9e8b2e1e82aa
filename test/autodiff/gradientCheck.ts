import { gradients } from '../../src/autodiff/backward.js';
import { type EmittableGraph, emitForward } from '../../src/autodiff/forward.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { type Engine, standardEngine } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto, NodeProto } from '../../src/onnx/proto.js';
import { specOf } from '../../src/ops/index.js';
import { openSession } from '../../src/runtime/session.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

/** A small graph (opset 18) with everything that it reads. */
export interface Net {
  readonly nodes: readonly NodeProto[];
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Values that are not differentiated by (labels, indices). */
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly string[];
  readonly wanted?: readonly string[];
  readonly batchNorm?: 'live' | 'frozen';
  readonly engine?: Engine;
}

export interface Checked {
  readonly gradients: Record<string, Tensor>;
  readonly graph: GraphBuilder;
  readonly updates: ReadonlyMap<string, Tensor>;
  /** For each wanted value: slope along a random direction, by central differences and by the emitted gradient. */
  readonly slopes: readonly { name: string; numeric: number; analytic: number; scale: number }[];
}

export function drawn(dims: readonly number[], seed: number, range: readonly [number, number] = [-1, 1]): Tensor {
  const random = new Random(seed);
  const data = Float32Array.from({ length: sizeOf(dims) }, () => range[0] + (range[1] - range[0]) * random.uniform());
  return float32(dims, data);
}

/** Compares emitted gradients of Σ r·output, r random, with central differences of the net itself. */
export async function checkGradients(net: Net, step = 1e-2): Promise<Checked> {
  const graph = await shaped(net);
  const { feeds, outputs, batchNorm = 'frozen', engine = standardEngine } = net;
  const wanted = net.wanted ?? Object.keys(feeds);

  const g = new GraphBuilder(engine);
  const given = new Map(
    Object.entries(feeds).map(([name, t]): [string, Value] => [
      name,
      { name: g.unique(name), dtype: t.dtype, shape: t.dims },
    ]),
  );
  const updated = new Map<string, Value>();
  const context = {
    batchNorm,
    update: (current: Value, next: Value) => {
      updated.set(current.name, next);
    },
    random: () => {
      throw new Error('no random values here');
    },
  };
  const forward = emitForward(g, graph, given, context, specOf);
  const weights = outputs.map((o, i) => drawn(graph.values.get(o)!.shape, 900 + i));
  const seeds = new Map(outputs.map((o, i) => [o, g.constant(weights[i], `${o}.seed`)]));
  const grads = gradients(g, forward, seeds, wanted);
  const emitted = modelOf(g, feeds, [
    ...[...grads.values(), ...updated.values()].map((v) => v.name),
    ...outputs.map((o) => forward.values.get(o)!.name),
  ]);
  const results = await run(emitted, feeds);

  const plain = makeModel(
    makeGraph({
      node: forward.tape.length ? forwardNodes(g, forward.tape.length, grads) : [],
      initializer: g.initializers,
      input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: outputs.map((o) => untyped(forward.values.get(o)!.name)),
    }),
    18,
    [...g.domains],
  );
  const session = await openSession(plain, { threads: { intraOp: 1 } });
  const objective = async (at: Record<string, Tensor>): Promise<number> => {
    const y = await session.run(at);
    return outputs.reduce((sum, o, i) => sum + dot(y[forward.values.get(o)!.name], weights[i]), 0);
  };
  const slopes: Checked['slopes'][number][] = [];
  for (const [k, name] of wanted.entries()) {
    const direction = drawn(feeds[name].dims, 700 + k);
    const up = await objective({ ...feeds, [name]: moved(feeds[name], direction, step) });
    const down = await objective({ ...feeds, [name]: moved(feeds[name], direction, -step) });
    const gradient = results[grads.get(name)!.name];
    const scale = Math.sqrt(dot(gradient, gradient)) + 1e-3;
    slopes.push({ name, numeric: (up - down) / (2 * step), analytic: dot(gradient, direction), scale });
  }
  await session.close();
  return {
    gradients: Object.fromEntries(wanted.map((name) => [name, results[grads.get(name)!.name]])),
    graph: g,
    updates: new Map([...updated].map(([name, v]) => [name, results[v.name]])),
    slopes,
  };
}

/** The nodes that the outputs need: what comes after the forward pass only reads it. */
function forwardNodes(g: GraphBuilder, _: number, grads: ReadonlyMap<string, Value>): NodeProto[] {
  return grads.size === 0 ? g.nodes : g.nodes.filter((n) => !n.name?.includes('/grad/') && !n.name?.includes('.grad'));
}

function untyped(name: string): { name: string; metadataProps: [] } {
  return { name, metadataProps: [] };
}

export function modelOf(
  g: GraphBuilder,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: readonly string[],
): ModelProto {
  return makeModel(
    makeGraph({
      node: g.nodes,
      initializer: g.initializers,
      input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: [...new Set(outputs)].map(untyped),
    }),
    18,
    [...g.domains],
  );
}

export async function run(model: ModelProto, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
  const session = await openSession(model, { threads: { intraOp: 1 } });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

/** Reads the shapes of all values off a run. */
export async function shaped({ nodes, feeds, constants = {} }: Net): Promise<EmittableGraph> {
  const all = { ...feeds, ...constants };
  const outputs = nodes.flatMap((n) => n.output.filter((o) => o !== ''));
  const model = makeModel(
    makeGraph({
      node: [...nodes],
      input: Object.entries(all).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: outputs.map(untyped),
    }),
    18,
  );
  const results = await run(model, all);
  const values = Object.entries({ ...all, ...results }).map(
    ([name, t]) => [name, { dtype: t.dtype, shape: t.dims }] as const,
  );
  return { nodes, values: new Map(values), parameters: new Map(), constants: new Map(Object.entries(constants)) };
}

function dot(a: Tensor, b: Tensor): number {
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function moved(x: Tensor, direction: Tensor, step: number): Tensor {
  const d = direction.data as Float32Array;
  return float32(
    x.dims,
    (x.data as Float32Array).map((v, i) => v + step * d[i]),
  );
}
