import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/backward.js';
import { emitForward } from '../../src/autodiff/forward.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { type Engine, standardEngine, tfjsTarget } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import { bodiesOf } from '../../src/onnx/graph.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { allSpecs, specOf } from '../../src/ops/index.js';
import { type Example, isRefusal, type OpSpec } from '../../src/ops/spec.js';
import { loadTfjs } from '../../src/runtime/tfjs.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { Device, elementsOf } from '../../src/train/tfjs/device.js';
import { kernels } from '../../src/train/tfjs/kernels.js';
import { planStep } from '../../src/train/tfjs/plan.js';
import { StepSession } from '../../src/train/tfjs/session.js';
import { type ExampleNet, feedsOf, modelOf, netOf, normalised, numbers, open, run } from '../ops/exampleNet.js';
import { tfjsReason } from './tfjs.js';

const why = tfjsReason();

/** What an example becomes in a step: its nodes and those of its gradient. */
interface Emitted {
  readonly g: GraphBuilder;
  readonly wanted: readonly Value[];
}

function emit(
  net: ExampleNet,
  engine: Engine,
  results: Readonly<Record<string, Tensor>>,
  inner: Record<string, Tensor>,
  batchNorm: 'frozen' | 'live',
): Emitted {
  const { nodes, constants } = normalised(net);
  const all = { ...net.values, ...constants };
  const types = new Map(
    Object.entries({ ...all, ...results, ...inner }).map(([name, t]) => [name, { dtype: t.dtype, shape: t.dims }]),
  );
  const g = new GraphBuilder(engine);
  const feeds = feedsOf(net);
  const given = new Map(
    Object.entries(feeds).map(([name, t]): [string, Value] => [
      name,
      { name: g.unique(name), dtype: t.dtype, shape: t.dims },
    ]),
  );
  const constant = new Map(Object.entries(all).filter(([name]) => !given.has(name)));
  const context = { batchNorm, update: () => {}, random: (): Value => g.scalar(0.7) };
  const graph = { nodes, values: types, parameters: new Map<string, Tensor>(), constants: constant };
  const forward = emitForward(g, graph, given, context, specOf);
  const differentiable = nodes.every((n) => {
    const spec = specOf(n.opType, n.domain);
    return spec !== undefined && !isRefusal(spec.grad);
  });
  const reals = net.outputs.filter((o) => results[o].dtype === 'float32' && differentiable);
  const seeds = new Map(reals.map((o, i) => [o, g.constant(drawn(results[o].dims, 40 + i), `${o}.seed`)]));
  const found = reals.length > 0 ? [...gradients(g, forward, seeds, net.wanted).values()] : [];
  const outputs = net.outputs.map((o) => forward.values.get(o)!);
  const wanted = [...outputs, ...found].filter((v) => !(v.name in feeds) && !v.constant);
  return { g, wanted: [...new Map(wanted.map((v) => [v.name, v])).values()] };
}

function drawn(dims: readonly number[], seed: number): Tensor {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, () => 2 * random.uniform() - 1),
  );
}

async function byOnnxruntime({ g, wanted }: Emitted, feeds: Record<string, Tensor>): Promise<number[][]> {
  const model = makeModel(
    makeGraph({
      node: g.nodes,
      initializer: g.initializers,
      input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: wanted.map(({ name }) => ({ name, metadataProps: [] })),
    }),
    18,
    [...g.domains],
  );
  const found = await run(model, feeds);
  return wanted.map(({ name }) => numbers(found[name]));
}

/** @returns the results row by row, and how many tensors are left when they were freed. */
function byTensorFlow({ g, wanted }: Emitted, feeds: Record<string, Tensor>): { results: number[][]; left: number } {
  const device = new Device(loadTfjs().binding);
  const before = device.tensors();
  const ports = Object.entries(feeds).map(([name, t]) => ({ name, dtype: t.dtype, shape: t.dims }));
  const state = wanted.map((v) => ({ ...v, name: `${v.name}/before`, next: v.name }));
  const plan = planStep(
    device,
    { nodes: g.nodes, initializers: g.initializers, values: g.values },
    { state, feeds: ports, metrics: [] },
  );
  const held = plan.program.inputs.slice(0, wanted.length).map(({ shape, kind }) => {
    const Elements = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }[kind];
    return device.upload(shape, new Elements(sizeOf(shape)));
  });
  const fed = ports.map((p) => device.upload(p.shape, elementsOf(feeds[p.name])));
  const session = StepSession.open(device, plan, held);
  session.run(fed);
  const made = session.state();
  const results = made.map((id, i) => {
    const order = plan.state[i];
    const back = device.upload([order.length], Int32Array.from(order.map((_, axis) => order.indexOf(axis))));
    const [row] = device.execute('Transpose', {}, [id, back]);
    const data = Array.from(device.download(row));
    for (const each of [back, row]) device.free(each);
    return data;
  });
  for (const id of [...held, ...fed, ...made]) device.free(id);
  session.close();
  return { results, left: device.tensors() - before };
}

/** @returns the worst error, or what the engine lacks. */
async function compared(
  spec: OpSpec,
  example: Example,
  batchNorm: 'frozen' | 'live' = 'frozen',
): Promise<number | string> {
  const net = netOf(spec, example);
  const session = await open(modelOf(net));
  const results = await session.run(feedsOf(net)).finally(() => session.close());
  const { nodes } = normalised(net);
  const values = { ...net.values, ...normalised(net).constants };
  const names = nodes.flatMap((n) => n.output).filter((name) => name !== '');
  const inner =
    nodes.length > 1 ? await run(modelOf(net, { nodes, opset: 18, values, outputs: names }), feedsOf(net)) : {};
  const feeds = feedsOf(net);
  const standard = emit(net, standardEngine, results, inner, batchNorm);
  const native = emit(net, tfjsTarget, results, inner, batchNorm);
  for (const node of nodesIn(native.g.nodes)) planned.add(node.domain ? `${node.domain}.${node.opType}` : node.opType);
  const missing = lackOf(() => byTensorFlow(native, feeds));
  if (missing !== undefined) return missing;
  const expected = await byOnnxruntime(standard, feeds);
  const { results: actual, left } = byTensorFlow(native, feeds);
  expect(left).toBe(0);
  expect(actual.length).toBe(expected.length);
  return Math.max(0, ...expected.map((e, i) => worst(e, actual[i])));
}

/** Kernels that some example was planned with. */
const planned = new Set<string>();

function* nodesIn(nodes: readonly NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node;
    for (const { graph } of bodiesOf(node)) yield* nodesIn(graph.node);
  }
}

/** @returns what the error says that the engine lacks. */
function lackOf(tried: () => void): string | undefined {
  try {
    tried();
    return undefined;
  } catch (error) {
    const [, lacking] = /^the tfjs engine lacks (.*)$/.exec((error as Error).message) ?? [];
    if (lacking === undefined) throw error;
    return lacking;
  }
}

function worst(expected: readonly number[], actual: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce((max, v, i) => {
    if (Object.is(v, actual[i]) || v === actual[i]) return max;
    const error = Math.abs(v - actual[i]) / Math.max(1, Math.abs(v));
    return Math.max(max, Number.isNaN(error) ? Infinity : error);
  }, 0);
}

describe.skipIf(why)(`kernels of the tfjs engine${why ? ` (skipped: ${why})` : ''}`, () => {
  const lacking = new Map<string, string>();

  for (const spec of allSpecs()) {
    if (spec.training) continue;
    for (const example of spec.examples) {
      it(`${spec.op}: ${example.title}`, async () => {
        const result = await compared(spec, example);
        if (typeof result === 'string') return void lacking.set(`${spec.op}: ${example.title}`, result);
        expect(result).toBeLessThan(2e-5);
      });
    }
  }

  const norm = allSpecs().find((s) => s.op === 'BatchNormalization')!;
  for (const example of norm.examples.filter((e) => e.attributes?.spatial !== 0)) {
    it(`BatchNormalization by the statistics of the batch: ${example.title}`, async () => {
      expect(await compared(norm, example, 'live')).toBeLessThan(2e-5);
    });
  }

  it('has tried every kernel', () => {
    // Only steps of several batches have a Loop.
    const elsewhere = new Set(['Loop']);
    expect(Object.keys(kernels()).filter((name) => !planned.has(name) && !elsewhere.has(name))).toEqual([]);
  });

  it('lacks no more than is known', () => {
    expect([...new Set(lacking.values())].sort()).toMatchSnapshot();
  });
});
