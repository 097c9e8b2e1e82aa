import { gradients } from '../../src/autodiff/backward.js';
import { emitForward } from '../../src/autodiff/forward.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import type { Engine } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { specOf } from '../../src/ops/index.js';
import { isRefusal } from '../../src/ops/spec.js';
import { Random } from '../../src/tensor/random.js';
import { type DType, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { type ExampleNet, feedsOf, isReal, modelOf, normalised, numbers, open, realTensor, run } from './exampleNet.js';

/** The slope of one objective along one direction of one input, found twice. */
export interface Slope {
  readonly input: string;
  readonly numeric: number;
  readonly analytic: number;
  /** The greatest slope that a direction of this length can have. */
  readonly scale: number;
}

/** What the training graph makes of an example, beside what the user's node makes of it. */
export interface Trained {
  readonly outputs: readonly { readonly original: Tensor; readonly training: Tensor }[];
  readonly slopes: readonly Slope[];
  /** Operators of the emitted gradient. */
  readonly emitted: readonly string[];
}

/**
 * Emits the training form of an example and its gradient, runs both, and takes central differences of the user's own
 * node in its own opset beside them.
 */
export async function trained(net: ExampleNet, engine: Engine, step: number): Promise<Trained> {
  const real = Object.values(net.values).some((t) => t.dtype === 'float64') ? 'float64' : 'float32';
  const original = await open(modelOf(net));
  try {
    const results = await original.run(feedsOf(net));
    const { nodes, constants } = normalised(net);
    const types = new Map<string, { dtype: Tensor['dtype']; shape: readonly number[] }>();
    const note = (name: string, t: Tensor) => types.set(name, { dtype: t.dtype, shape: t.dims });
    const added = Object.fromEntries(
      Object.entries(constants).map(([n, t]) => [
        n,
        t.dtype === 'float32' && real === 'float64' && net.spec.op !== 'Upsample' && net.spec.op !== 'Resize'
          ? realTensor(t, real)
          : t,
      ]),
    );
    const all = { ...net.values, ...added };
    for (const [name, t] of Object.entries({ ...all, ...results })) note(name, t);
    if (nodes.length > 1) {
      const inner = nodes.flatMap((n) => n.output);
      const shaped = await run(modelOf(net, { nodes, opset: 18, values: all, outputs: inner }), feedsOf(net));
      for (const [name, t] of Object.entries(shaped)) note(name, t);
    }

    const g = new GraphBuilder(engine);
    const feeds = feedsOf(net);
    const given = new Map(
      Object.entries(feeds).map(([name, t]): [string, Value] => [
        name,
        { name: g.unique(name), dtype: t.dtype, shape: t.dims },
      ]),
    );
    const fixed = new Map(Object.entries(all).filter(([name]) => !given.has(name)));
    const context = { batchNorm: 'frozen' as const, update: () => {}, random: (): Value => g.scalar(0.7) };
    const graph = { nodes, values: types, parameters: new Map<string, Tensor>(), constants: fixed };
    const forward = emitForward(g, graph, given, context, specOf);
    const first = g.nodes.length;
    const reals = net.outputs.filter((o) => isReal(results[o].dtype) && differentiable(nodes));
    const weights = reals.map((o, i) => direction(results[o].dims, results[o].dtype, 900 + i));
    const seeds = new Map(reals.map((o, i) => [o, g.constant(weights[i], `${o}.seed`)]));
    const grads = reals.length > 0 ? gradients(g, forward, seeds, net.wanted) : new Map<string, Value>();
    const emitted = g.nodes.slice(first).map((n) => n.opType);
    const model = makeModel(
      makeGraph({
        node: g.nodes,
        initializer: g.initializers,
        input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
        output: [...new Set([...grads.values(), ...net.outputs.map((o) => forward.values.get(o)!)].map((v) => v.name))]
          .filter((name) => !(name in feeds))
          .map((name) => ({ name, metadataProps: [] })),
      }),
      18,
      [...g.domains],
    );
    const found = { ...(await run(model, feeds)), ...feeds };
    for (const i of g.initializers)
      if (i.name && !(i.name in found)) found[i.name] = weights.find((_, k) => i.name === seeds.get(reals[k])!.name)!;

    const objective = (y: Record<string, Tensor>) => reals.reduce((sum, o, i) => sum + dot(y[o], weights[i]), 0);
    const slopes: Slope[] = [];
    for (const [k, input] of [...grads.keys()].entries()) {
      const gradient = found[grads.get(input)!.name];
      for (const seed of [500, 600]) {
        const d = direction(net.values[input].dims, real, seed + k);
        const up = objective(await original.run({ ...feeds, [input]: moved(feeds[input], d, step) }));
        const down = objective(await original.run({ ...feeds, [input]: moved(feeds[input], d, -step) }));
        const scale = Math.sqrt(dot(gradient, gradient) * dot(d, d)) + 1e-3;
        slopes.push({ input, numeric: (up - down) / (2 * step), analytic: dot(gradient, d), scale });
      }
    }
    const outputs = net.outputs.map((o) => ({ original: results[o], training: found[forward.values.get(o)!.name] }));
    return { outputs, slopes, emitted };
  } finally {
    await original.close();
  }
}

function differentiable(nodes: readonly NodeProto[]): boolean {
  return nodes.every((n) => {
    const spec = specOf(n.opType, n.domain);
    return spec !== undefined && !isRefusal(spec.grad);
  });
}

function direction(dims: readonly number[], dtype: DType, seed: number): Tensor {
  const random = new Random(seed);
  const data = Float64Array.from({ length: sizeOf(dims) }, () => 2 * random.uniform() - 1);
  return realTensor({ dtype: 'float64', dims, data }, dtype === 'float64' ? dtype : 'float32');
}

function dot(a: Tensor, b: Tensor): number {
  const [x, y] = [numbers(a), numbers(b)];
  return x.reduce((sum, v, i) => sum + v * y[i], 0);
}

function moved(x: Tensor, d: Tensor, step: number): Tensor {
  const [a, b] = [numbers(x), numbers(d)];
  const data = Float64Array.from(a, (v, i) => v + step * b[i]);
  return realTensor({ dtype: 'float64', dims: x.dims, data }, x.dtype as 'float32');
}
