import { describe, expect, it } from 'vitest';
import { makeNode, makeTensor } from '../../src/onnx/make.js';
import { tfjsTarget } from '../../src/onnx/engine.js';
import { loadTfjs } from '../../src/runtime/tfjs.js';
import { float32, int64 } from '../../src/tensor/tensor.js';
import { Device } from '../../src/train/tfjs/device.js';
import { planStep } from '../../src/train/tfjs/plan.js';
import { StepSession } from '../../src/train/tfjs/session.js';
import { buildStep, initialState, type StepOptions } from '../../src/train/step.js';
import { engineOf } from '../../src/train/engines.js';
import { feedsOf, tinyNet } from './net.js';
import { tfjsReason } from './tfjs.js';

const why = tfjsReason();

const options: StepOptions = {
  loss: 'cross-entropy',
  output: 0,
  batchNorm: 'frozen',
  optimizer: { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 },
  target: tfjsTarget,
};

describe.skipIf(why)(`the tfjs engine${why ? ` (skipped: ${why})` : ''}`, () => {
  it('holds as many tensors after 1,000 steps as before, and none when it is closed', async () => {
    const { binding } = loadTfjs();
    const before = binding.getNumOfTensors();
    const step = buildStep(tinyNet(16), options);
    const run = await engineOf({ engine: 'tfjs', provider: 'cpu', threads: 1 }).load(
      step,
      initialState(tinyNet(16), step),
    );
    await run.run(feedsOf(1, [16], 1, { rate: 0.05 }));
    const held = binding.getNumOfTensors();
    for (let i = 0; i < 20; i++) await run.run(feedsOf(50, [16], i, { rate: 0.05 }));
    await run.state();
    expect(binding.getNumOfTensors()).toBe(held);
    await run.close();
    expect(binding.getNumOfTensors()).toBe(before);
  });

  it('frees what a Loop of several batches makes', async () => {
    const { binding } = loadTfjs();
    const step = buildStep(tinyNet(4), { ...options, microBatches: 4 });
    const run = await engineOf({ engine: 'tfjs', provider: 'cpu', threads: 1 }).load(
      step,
      initialState(tinyNet(4), step),
    );
    const held = binding.getNumOfTensors();
    await run.run(feedsOf(20, [4, 4], 1, { rate: 0.05 }));
    expect(binding.getNumOfTensors()).toBe(held);
    await run.close();
  });

  it('holds constants that are too large to stand in the graph', () => {
    const device = new Device(loadTfjs().binding);
    const before = device.tensors();
    const count = 10_000;
    const mask = {
      dtype: 'bool' as const,
      dims: [count],
      data: Uint8Array.from({ length: count }, (_, i) => (i % 3) % 2),
    };
    const places = int64(
      [count],
      Array.from({ length: count }, (_, i) => count - 1 - i),
    );
    const added = float32(
      [count],
      Float32Array.from({ length: count }, (_, i) => i),
    );
    const vector = { dtype: 'float32' as const, shape: [count] };
    const plan = planStep(
      device,
      {
        nodes: [
          makeNode('Gather', ['x', 'places'], ['turned'], {}, {}),
          makeNode('Where', ['mask', 'turned', 'added'], ['y'], {}, {}),
        ],
        initializers: Object.entries({ mask, places, added }).map(([name, t]) => makeTensor(name, t)),
        values: new Map(['turned', 'y'].map((name) => [name, vector])),
      },
      { state: [{ name: 'x', next: 'y', ...vector }], feeds: [], metrics: [] },
    );
    const first = device.upload([count], new Float32Array(count).fill(-1));
    const session = StepSession.open(device, plan, [first]);
    session.run([]);
    session.run([]);
    const [held] = session.state();
    const once = Array.from(mask.data, (m, i) => (m ? -1 : i));
    expect(Array.from(device.download(held))).toEqual(once.map((_, i) => (mask.data[i] ? once[count - 1 - i] : i)));
    for (const id of [first, held]) device.free(id);
    session.close();
    expect(device.tensors()).toBe(before);
  });

  it('names all operators that it lacks before anything is trained', async () => {
    const step = buildStep(tinyNet(16), options);
    const extra = ['Unheard', 'NonZero'].map((op) => makeNode(op, ['x'], [`${op}/y`], {}, { name: op }));
    const graph = { ...step.graph, nodes: [...extra, ...step.graph.nodes] };
    const loading = engineOf({ engine: 'tfjs', provider: 'cpu', threads: 1 }).load(
      { ...step, graph },
      initialState(tinyNet(16), step),
    );
    await expect(loading).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      message: 'the tfjs engine lacks Unheard, NonZero',
      hint: expect.stringContaining('--engine onnxruntime'),
    });
  });
});
