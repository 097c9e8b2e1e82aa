import { describe, expect, it } from 'vitest';
import { Net, resnet } from '../../models/index.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { decodeModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { analyse } from '../../src/shape/analyse.js';
import { float32 } from '../../src/tensor/tensor.js';
import { compareLatency, percentile } from '../../src/validate/latency.js';
import { layerCosts, macsOf } from '../../src/validate/macs.js';
import { measureModels } from '../../src/validate/measure.js';
import { paramsOf } from '../../src/validate/params.js';

const fileOf = (model: ModelProto) => decodeModel(encodeModel(model));
const analysisOf = (model: ModelProto) => analyse(fileOf(model));

function tinyNet(seed = 1): ModelProto {
  const net = new Net({ seed });
  const x = net.relu(net.batchNorm(net.conv(net.input([3, 8, 6]), 4, { stride: 2 })));
  return net.model(net.dense(net.flatten(net.conv(x, 4, { groups: 4 })), 5));
}

describe('MACs', () => {
  it('are those of one sample, node by node', async () => {
    const layers = layerCosts(await analysisOf(tinyNet()));
    const macs = Object.fromEntries(layers.map((l) => [l.name, l.macs]));
    // 4×3 outputs each: 3·9 products for 4 filters, then 9 for each of 4 groups, then 48 · 5.
    expect(macs).toMatchObject({ conv1: 12 * 4 * 27, conv2: 12 * 4 * 9, dense1: 48 * 5, relu1: 0 });
    expect(layers.find((l) => l.name === 'conv1')).toMatchObject({ params: 4 * 27 + 4, outputShape: ['N', 4, 4, 3] });
    expect(layers.reduce((sum, l) => sum + l.params, 0)).toBe(paramsOf(tinyNet()));
  });

  it('of ResNet-20 are the published 40.6 million', async () => {
    expect(macsOf(await analysisOf(resnet({ shortcut: 'pad' })))).toBeCloseTo(40.55e6, -5);
  });
});

describe('parameters', () => {
  it('count weights in Constant nodes, and no scalars, shapes or indices', () => {
    const weight = makeTensor('', float32([2, 3], [1, 2, 3, 4, 5, 6]));
    const model = makeModel(
      makeGraph({
        node: [
          makeNode('Constant', [], ['w'], { value: { tensor: weight } }),
          makeNode('MatMul', ['x', 'w'], ['m']),
          makeNode('Mul', ['m', 's'], ['r']),
          makeNode('Reshape', ['r', 'shape'], ['y']),
        ],
        initializer: [
          makeTensor('s', float32([], [2])),
          makeTensor('shape', { dtype: 'int64', dims: [2], data: BigInt64Array.of(-1n, 3n) }),
        ],
        input: [makeValueInfo('x', 'float32', ['n', 2])],
        output: [makeValueInfo('y', 'float32', ['n', 3])],
      }),
      17,
    );
    expect(paramsOf(model)).toBe(6);
  });
});

describe('latency', () => {
  it('runs the models in turn after a warm-up and reads percentiles off the rounds', async () => {
    let clock = 0;
    const order: string[] = [];
    const model = (name: string, ms: number) => ({
      feeds: {},
      session: {
        provider: 'cpu' as const,
        inputs: [],
        outputs: [],
        run: async () => {
          order.push(name);
          clock += ms;
          return {};
        },
        close: async () => {},
      },
    });
    const result = await compareLatency([model('a', 6), model('b', 2)], { rounds: 20, seconds: 100, now: () => clock });
    expect(result.rounds).toBe(20);
    expect(result.latencyMs).toEqual([
      { p50: 6, p95: 6 },
      { p50: 2, p95: 2 },
    ]);
    expect(result.speedup).toEqual([1, 3]);
    expect(order.slice(-4)).toEqual(['a', 'b', 'a', 'b']);
    expect(order.length).toBeGreaterThan(40);
  });

  it('makes do with fewer rounds when time is up, but never with less than ten', async () => {
    let clock = 0;
    const session = {
      provider: 'cpu' as const,
      inputs: [],
      outputs: [],
      close: async () => {},
      run: async () => {
        clock += 1000;
        return {};
      },
    };
    expect((await compareLatency([{ session, feeds: {} }], { rounds: 500, seconds: 1, now: () => clock })).rounds).toBe(
      10,
    );
  });

  it('stops when it is told to', async () => {
    const session = { provider: 'cpu' as const, inputs: [], outputs: [], close: async () => {}, run: async () => ({}) };
    await expect(compareLatency([{ session, feeds: {} }], { signal: AbortSignal.abort() })).rejects.toThrow('stopped');
  });

  it('takes percentiles between neighbours', () => {
    expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(percentile([5], 0.95)).toBe(5);
  });
});

describe('facts of two models', () => {
  it('hold sizes and costs of each, and no drift between equal ones', async () => {
    const file = fileOf(tinyNet());
    const subject = { file, analysis: await analyse(file) };
    const { facts } = await measureModels([subject, subject], { latency: { rounds: 10, seconds: 0 } });
    expect(facts[0]).toMatchObject({
      params: paramsOf(file.model),
      bytes: file.bytes.length,
      metric: null,
      drift: null,
    });
    expect(facts[1].drift).toMatchObject({
      against: 'input',
      samples: 256,
      maxAbsolute: 0,
      agreement: 1,
      differing: 0,
    });
  });

  it('show how far other weights take the outputs', async () => {
    const [a, b] = [fileOf(tinyNet(1)), fileOf(tinyNet(2))];
    const subjects = [
      { file: a, analysis: await analyse(a) },
      { file: b, analysis: await analyse(b) },
    ];
    const { facts } = await measureModels(subjects, { latency: { rounds: 10, seconds: 0 }, driftSamples: 64 });
    expect(facts[1].drift!.maxAbsolute).toBeGreaterThan(0.01);
    expect(facts[1].drift!.agreement).toBeLessThan(1);
  });
});
