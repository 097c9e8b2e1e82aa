import { describe, expect, it } from 'vitest';
import { blockedCpuEngine, cpuEngine, standardEngine } from '../../src/onnx/engine.js';
import { makeNode } from '../../src/onnx/make.js';
import { cpuTarget } from '../../src/runtime/blocked-layout.js';
import type { TrainingGraph } from '../../src/shape/training-graph.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { compileLoop, openLoop } from '../../src/train/loop.js';
import { buildStep, initialState, type StepOptions } from '../../src/train/step.js';
import { drawn, worst } from './evaluate.js';

const engines = (await cpuTarget()) === blockedCpuEngine ? [cpuEngine, blockedCpuEngine] : [cpuEngine];
const identity = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

/** Convolutions, live batch norm, pools, a residual sum and a dense layer; activations are smooth, so that no side flips. */
function convNet(batch: number, c: number): TrainingGraph {
  const m = 2 * c;
  const ones = (n: number) => float32([n], new Float32Array(n).fill(1));
  const parameters = new Map<string, Tensor>([
    ['w0', drawn([c, 3, 3, 3], 1, 0.3)],
    ['b0', drawn([c], 2, 0.1)],
    ['w1', drawn([c, c, 3, 3], 3, 0.1)],
    ['scale', ones(c)],
    ['shift', drawn([c], 4, 0.1)],
    ['w2', drawn([m, c, 3, 3], 5, 0.1)],
    ['w3', drawn([3, 4 * m], 6, 0.2)],
    ['b3', drawn([3], 7, 0.1)],
  ]);
  const constants = new Map<string, Tensor>([
    ['mean', drawn([c], 8, 0.1)],
    ['var', ones(c)],
  ]);
  const same = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const shapes: Record<string, number[]> = { x: [batch, 3, 8, 8], flat: [batch, 4 * m], logits: [batch, 3] };
  for (const name of ['c0', 'a0', 'c1', 'n1', 's1', 'a1']) shapes[name] = [batch, c, 8, 8];
  shapes.c2 = [batch, m, 4, 4];
  shapes.p2 = [batch, m, 2, 2];
  for (const [name, t] of [...parameters, ...constants]) shapes[name] = [...t.dims];
  return {
    batch,
    nodes: [
      makeNode('Conv', ['x', 'w0', 'b0'], ['c0'], same, { name: 'conv0' }),
      makeNode('Tanh', ['c0'], ['a0'], {}, { name: 'tanh0' }),
      makeNode('Conv', ['a0', 'w1'], ['c1'], same, { name: 'conv1' }),
      makeNode('BatchNormalization', ['c1', 'scale', 'shift', 'mean', 'var'], ['n1'], {}, { name: 'norm1' }),
      makeNode('Add', ['n1', 'a0'], ['s1'], {}, { name: 'sum1' }),
      makeNode('Sigmoid', ['s1'], ['a1'], {}, { name: 'sigmoid1' }),
      makeNode('Conv', ['a1', 'w2'], ['c2'], { ...same, strides: [2, 2] }, { name: 'conv2' }),
      makeNode('MaxPool', ['c2'], ['p2'], { kernel_shape: [2, 2], strides: [2, 2] }, { name: 'pool2' }),
      makeNode('Flatten', ['p2'], ['flat'], {}, { name: 'flatten' }),
      makeNode('Gemm', ['flat', 'w3', 'b3'], ['logits'], { transB: 1 }, { name: 'dense3' }),
    ],
    values: new Map(Object.entries(shapes).map(([name, shape]) => [name, { dtype: 'float32' as const, shape }])),
    parameters,
    constants,
    state: new Set(['mean', 'var']),
    inputs: [{ name: 'x', dtype: 'float32', shape: [batch, 3, 8, 8], batchAxis: 0 }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: [batch, 3], of: ['logits'], through: [], batchAxis: 0 }],
    clones: [],
    trained: [],
    notes: [],
  };
}

function optionsFor(c: number, microBatches?: number): StepOptions {
  return {
    loss: 'cross-entropy',
    output: 0,
    optimizer: { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 1e-4 },
    batchNorm: 'live',
    microBatches,
    proximal: {
      regularizer: 'cges',
      grouping: 'channel',
      m: 0.2,
      families: [{ name: 'outer', count: 2 * c, parts: [{ parameter: 'w2', axis: 0, map: identity(2 * c) }] }],
      layers: ['w0', 'w1', 'w2', 'w3'].map((parameter) => ({ parameter, outAxis: 0 })),
    },
  };
}

describe('the whole state after several steps is that of standard operators', () => {
  const cases: [number, number | undefined][] = [
    [16, undefined],
    [23, undefined],
    [16, 2],
  ];
  for (const [c, micro] of cases) {
    it(`with ${c} channels${micro ? ` and ${micro} micro-batches` : ''}`, async () => {
      const [batch, steps] = [4, 5];
      const graph = convNet(batch, c);
      const lead = micro ? [steps, micro, batch] : [steps, batch];
      const samples = lead.reduce((a, b) => a * b, 1);
      const feeds: Record<string, Tensor> = {
        x: drawn([...lead, 3, 8, 8], 20),
        target: { dtype: 'int64', dims: lead, data: BigInt64Array.from({ length: samples }, (_, i) => BigInt(i % 3)) },
        rate: float32([steps], new Float32Array(steps).fill(0.05)),
        lambda: float32([steps], new Float32Array(steps).fill(0.01)),
      };
      const states: Map<string, Tensor>[] = [];
      for (const target of [standardEngine, ...engines]) {
        const step = buildStep(graph, { ...optionsFor(c, micro), target });
        const run = await openLoop(compileLoop(step), initialState(graph, step), { provider: 'cpu', threads: 1 });
        await run.run(feeds);
        states.push(await run.state());
        await run.close();
      }
      const [expected, ...others] = states;
      for (const found of others) {
        expect([...found.keys()]).toEqual([...expected.keys()]);
        for (const [name, t] of expected) {
          const { error } = worst(found.get(name)!.data as Float32Array, t.data as Float32Array);
          expect(error, name).toBeLessThan(1e-4);
        }
      }
    });
  }
});
