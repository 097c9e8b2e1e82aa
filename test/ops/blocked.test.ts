import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/backward.js';
import { type EmittableGraph, emitForward } from '../../src/autodiff/forward.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { blockedCpuEngine, cpuEngine, type Engine, standardEngine } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { tidied } from '../../src/onnx/tidied.js';
import { specOf } from '../../src/ops/index.js';
import { cpuTarget } from '../../src/runtime/blocked-layout.js';
import { openSession } from '../../src/runtime/session.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

const target = await cpuTarget();
if (target !== blockedCpuEngine) console.log('skipped: this processor has no blocked layout of 16 channels');
const engines = target === blockedCpuEngine ? [cpuEngine, blockedCpuEngine] : [cpuEngine];

interface Case {
  readonly n?: number;
  readonly c: number;
  readonly m: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly strides?: readonly [number, number];
  readonly dilations?: readonly [number, number];
  readonly group?: number;
}

const cases: Case[] = [
  { c: 16, m: 16, size: [8, 8], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 32, m: 16, size: [5, 9], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 16, m: 48, size: [6, 20], kernel: [3, 5], pads: [1, 2, 1, 2] },
  { c: 32, m: 64, size: [14, 14], kernel: [5, 5], pads: [2, 2, 2, 2] },
  { c: 16, m: 16, size: [7, 3], kernel: [3, 3], pads: [1, 1, 1, 1], n: 4 },
  { c: 16, m: 16, size: [7, 6], kernel: [3, 3], pads: [1, 1, 1, 1], n: 3 },
  { c: 16, m: 32, size: [6, 7], kernel: [3, 2], pads: [0, 1, 2, 0] },
  { c: 16, m: 32, size: [9, 9], kernel: [3, 3] },
  { c: 16, m: 32, size: [8, 8], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  { c: 32, m: 32, size: [12, 24], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  { c: 16, m: 32, size: [9, 9], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  { c: 16, m: 32, size: [8, 8], kernel: [1, 1], strides: [2, 2] },
  { c: 16, m: 16, size: [6, 9], kernel: [5, 3], pads: [2, 1, 2, 1], strides: [2, 3] },
  { c: 16, m: 16, size: [8, 8], kernel: [7, 7], pads: [3, 3, 3, 3], strides: [2, 2] },
  { c: 32, m: 16, size: [6, 6], kernel: [1, 1] },
  { c: 16, m: 16, size: [9, 9], kernel: [3, 3], pads: [2, 2, 2, 2], dilations: [2, 2] },
  { c: 3, m: 16, size: [8, 10], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 1, m: 32, size: [12, 12], kernel: [5, 5], pads: [2, 2, 2, 2] },
  { c: 3, m: 32, size: [11, 11], kernel: [7, 7], pads: [3, 3, 3, 3], strides: [2, 2] },
  { c: 7, m: 11, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 23, m: 28, size: [8, 8], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  { c: 14, m: 30, size: [9, 9], kernel: [5, 5], pads: [2, 2, 2, 2] },
  { c: 23, m: 16, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 16, m: 23, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 11, m: 32, size: [7, 7], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  { c: 20, m: 28, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { c: 32, m: 32, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1], group: 2 },
  { c: 16, m: 16, size: [6, 6], kernel: [3, 3], pads: [1, 1, 1, 1], group: 16 },
];

describe('gradients on the cpu engine are those of standard operators', () => {
  for (const at of cases) {
    const title = Object.entries(at).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join('×') : value}`);
    it(`of a convolution: ${title.join(', ')}`, async () => {
      const net = convNet(at);
      const expected = await run(net, standardEngine);
      for (const engine of engines) agree(await run(net, engine), expected, 1e-5);
    });
  }

  for (const c of [16, 11, 23, 40]) {
    it(`of a residual network with ${c} channels, live batch norm, pools and activations`, async () => {
      const net = residualNet(c);
      const expected = await run(net, standardEngine);
      for (const engine of engines) agree(await run(net, engine), expected, 5e-5);
    });
  }

  it('of a max pool with ties: the first in row-major order has it all', async () => {
    const net = poolNet();
    const expected = await run(net, standardEngine);
    for (const engine of engines) agree(await run(net, engine), expected, 2e-6);
  });

  it('of batch norm far from its running mean', async () => {
    const net = residualNet(16, 30);
    const expected = await run(net, standardEngine);
    for (const engine of engines) agree(await run(net, engine), expected, 1e-3);
  });
});

interface Net extends EmittableGraph {
  readonly given: Map<string, Tensor>;
  readonly outputs: readonly string[];
  readonly wanted: readonly string[];
}

function drawn(dims: readonly number[], seed: number, spread = 1): Tensor {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, () => spread * random.normal()),
  );
}

function netOf(
  nodes: NodeProto[],
  given: Map<string, Tensor>,
  shapes: Record<string, number[]>,
  outputs: string[],
  wanted: string[],
): Net {
  const values = new Map(
    [...Object.entries(shapes), ...[...given].map(([name, t]) => [name, [...t.dims]] as [string, number[]])].map(
      ([name, shape]) => [name, { dtype: 'float32' as const, shape }],
    ),
  );
  return { nodes, values, parameters: new Map(), constants: new Map(), given, outputs, wanted };
}

function convNet(at: Case): Net {
  const { n = 4, c, m, size, kernel, pads = [0, 0, 0, 0], strides = [1, 1], dilations = [1, 1], group = 1 } = at;
  const output = size.map((d, i) =>
    Math.floor((d + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) / strides[i] + 1),
  );
  const given = new Map([
    ['x', drawn([n, c, ...size], 1)],
    ['w', drawn([m, c / group, ...kernel], 2, 0.2)],
    ['b', drawn([m], 3)],
  ]);
  const attributes = { kernel_shape: kernel, pads, strides, dilations, group };
  const nodes = [
    makeNode('Conv', ['x', 'w', 'b'], ['y'], attributes, { name: 'conv' }),
    makeNode('Tanh', ['y'], ['z'], {}, { name: 'tanh' }),
  ];
  const shape = [n, m, ...output];
  return netOf(nodes, given, { y: shape, z: shape }, ['z'], ['x', 'w', 'b']);
}

/** Rounded activations: most windows hold their maximum more than once. */
function poolNet(): Net {
  const given = new Map([
    ['x', float32([2, 16, 6, 8], Float32Array.from(drawn([2, 16, 6, 8], 1).data as Float32Array, Math.round))],
  ]);
  // A 3×3 kernel around the identity takes x into blocks.
  const wide = new Float32Array(16 * 16 * 9);
  for (let i = 0; i < 16; i++) wide[i * 17 * 9 + 4] = 1;
  given.set('w', float32([16, 16, 3, 3], wide));
  const nodes = [
    makeNode('Conv', ['x', 'w'], ['y'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name: 'conv' }),
    makeNode('MaxPool', ['y'], ['z'], { kernel_shape: [2, 2], strides: [2, 2] }, { name: 'pool' }),
  ];
  return netOf(nodes, given, { y: [2, 16, 6, 8], z: [2, 16, 3, 4] }, ['z'], ['x', 'w']);
}

function residualNet(c: number, offset = 0): Net {
  const n = 4;
  const given = new Map([
    ['x', drawn([n, 3, 8, 8], 1)],
    ['w0', drawn([c, 3, 3, 3], 2, 0.3)],
    ['w1', drawn([c, c, 3, 3], 3, 0.2)],
    ['w2', drawn([2 * c, c, 3, 3], 4, 0.2)],
    ['w3', drawn([2 * c, c, 1, 1], 5, 0.2)],
    ['b0', float32([c], new Float32Array(c).fill(offset))],
  ]);
  const norm = (name: string, channels: number): string[] => {
    const names = ['scale', 'bias', 'mean', 'var'].map((s) => `${name}/${s}`);
    given.set(
      names[0],
      float32(
        [channels],
        (drawn([channels], 7, 0.1).data as Float32Array).map((v) => v + 1),
      ),
    );
    given.set(names[1], drawn([channels], 8, 0.2));
    given.set(names[2], drawn([channels], 9, 0.2));
    given.set(names[3], float32([channels], new Float32Array(channels).fill(1)));
    return names;
  };
  const same = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const half = { kernel_shape: [2, 2], strides: [2, 2] };
  const nodes = [
    makeNode('Conv', ['x', 'w0', 'b0'], ['c0'], same, { name: 'conv0' }),
    makeNode('BatchNormalization', ['c0', ...norm('n0', c)], ['d0'], {}, { name: 'norm0' }),
    makeNode('Sigmoid', ['d0'], ['e0'], {}, { name: 'sigmoid' }),
    makeNode('Conv', ['e0', 'w1'], ['c1'], same, { name: 'conv1' }),
    makeNode('BatchNormalization', ['c1', ...norm('n1', c)], ['d1'], {}, { name: 'norm1' }),
    makeNode('Add', ['d1', 'e0'], ['s1'], {}, { name: 'sum1' }),
    makeNode('Relu', ['s1'], ['e1'], {}, { name: 'relu1' }),
    makeNode('MaxPool', ['e1'], ['p1'], half, { name: 'pool1' }),
    makeNode('Conv', ['p1', 'w2'], ['c2'], { ...same, strides: [2, 2] }, { name: 'conv2' }),
    makeNode('Conv', ['p1', 'w3'], ['c3'], { kernel_shape: [1, 1], strides: [2, 2] }, { name: 'conv3' }),
    makeNode('Add', ['c2', 'c3'], ['s2'], {}, { name: 'sum2' }),
    makeNode('AveragePool', ['s2'], ['p2'], half, { name: 'pool2' }),
    makeNode('GlobalAveragePool', ['p2'], ['y'], {}, { name: 'pool3' }),
  ];
  const [big, middle, small] = [
    [n, c, 8, 8],
    [n, c, 4, 4],
    [n, 2 * c, 2, 2],
  ];
  const shapes: Record<string, number[]> = { p1: middle, p2: [n, 2 * c, 1, 1], y: [n, 2 * c, 1, 1] };
  for (const name of ['c0', 'd0', 'e0', 'c1', 'd1', 's1', 'e1']) shapes[name] = big;
  for (const name of ['c2', 'c3', 's2']) shapes[name] = small;
  const wanted = [...given.keys()].filter((name) => !/mean|var|b0/.test(name)); // a bias before batch norm has no effect;
  return netOf(nodes, given, shapes, ['y', 'd0'], wanted);
}

/** Runs the forward and the reverse sweep; seeds are fixed random numbers. */
async function run(net: Net, engine: Engine): Promise<Map<string, Float32Array>> {
  const g = new GraphBuilder(engine);
  const given = new Map<string, Value>(
    [...net.given].map(([name, t]) => {
      g.reserve(name);
      return [name, { name, dtype: 'float32', shape: t.dims }];
    }),
  );
  const next = new Map<string, Value>();
  const context = {
    batchNorm: 'live' as const,
    update: (current: Value, value: Value) => void next.set(`next ${current.name}`, value),
    random: () => {
      throw new Error('no random numbers here');
    },
  };
  const forward = emitForward(g, net, given, context, specOf);
  const seeds = new Map(
    net.outputs.map((name, i) => {
      const value = forward.values.get(name)!;
      return [name, g.constant(drawn(value.shape, 50 + i), 'seed')];
    }),
  );
  const found = gradients(g, forward, seeds, net.wanted);
  const results = new Map([
    ...net.outputs.map((name): [string, Value] => [`value ${name}`, forward.values.get(name)!]),
    ...next,
    ...[...found].map(([name, value]): [string, Value] => [`gradient ${name}`, value]),
  ]);
  const names = [...new Set([...results.values()].map((v) => v.name))];
  const shapes = new Map([...results.values()].map((v) => [v.name, v.shape]));
  const graph = makeGraph({
    node: tidied(g, names),
    initializer: g.initializers,
    input: [...net.given].map(([name, t]) => makeValueInfo(name, 'float32', t.dims)),
    output: names.map((name) => makeValueInfo(name, 'float32', shapes.get(name)!)),
  });
  const session = await openSession(makeModel(graph, 18, [...g.domains]), { threads: { intraOp: 1 } });
  try {
    const outputs = await session.run(Object.fromEntries(net.given));
    return new Map([...results].map(([key, value]) => [key, outputs[value.name].data as Float32Array]));
  } finally {
    await session.close();
  }
}

function agree(found: Map<string, Float32Array>, expected: Map<string, Float32Array>, tolerance: number): void {
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, values] of expected) {
    const scale = Math.max(1e-6, ...values.map(Math.abs));
    const error = values.reduce((worst, v, i) => Math.max(worst, Math.abs(v - found.get(name)![i])), 0) / scale;
    expect(error, name).toBeLessThan(tolerance);
  }
}
