import { expect, test } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { analyse } from '../../src/shape/analyse.js';
import { int64 } from '../../src/tensor/tensor.js';
import { errorOf } from '../onnx/shared.js';
import { net, weights } from './nets.js';

/** A convolution whose output is flattened by arithmetic on its own shape, as exporters write `x.view(x.size(0), -1)`. */
const flattened = () =>
  net({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name: 'conv' }),
      makeNode('Shape', ['c'], ['s']),
      makeNode('Gather', ['s', 'zero'], ['n'], { axis: 0 }),
      makeNode('Unsqueeze', ['n', 'axes'], ['n1']),
      makeNode('Concat', ['n1', 'rest'], ['target'], { axis: 0 }),
      makeNode('Reshape', ['c', 'target'], ['y'], {}, { name: 'flat' }),
    ],
    inputs: { x: ['batch', 3, 'h', 'w'] },
    outputs: ['y'],
    weights: { w: weights([4, 3, 3, 3], 1), zero: int64([], [0]), axes: int64([1], [0]), rest: int64([1], [-1]) },
  });

test('shapes are read in two runs that differ in every free axis', async () => {
  const { values, inputs, batch, sizes } = await analyse(flattened());
  expect(batch.kind).toBe('free');
  expect(inputs[0]).toMatchObject({ dtype: 'float32', batchAxis: 0, shape: [2, 3, 64, 64] });
  expect(sizes).toEqual(
    new Map([
      ['h', 64],
      ['w', 64],
    ]),
  );
  expect(values.get('c')).toMatchObject({
    dtype: 'float32',
    shapes: [
      [2, 4, 64, 64],
      [3, 4, 96, 96],
    ],
    batchAxis: 0,
  });
  expect(values.get('y')!.shapes).toEqual([
    [2, 16384],
    [3, 36864],
  ]);
});

test('what follows from shapes alone is known, and marked where it changes with a free axis', async () => {
  const { values } = await analyse(flattened());
  const target = values.get('target')!.known!;
  expect(Array.from(target.tensor.data as BigInt64Array)).toEqual([2n, -1n]);
  expect(target.stable).toEqual(Uint8Array.of(0, 1));
  expect(values.get('w')!.known!.stable).toBe('all');
  expect(values.get('c')!.known).toBeUndefined();
});

test('nodes are handed on in topological order with what is known of their values', async () => {
  const nodes = (await analyse(flattened())).channelNodes();
  expect(nodes.map((n) => n.op)).toEqual(['Conv', 'Shape', 'Gather', 'Unsqueeze', 'Concat', 'Reshape']);
  expect(nodes[5]).toMatchObject({ name: 'flat', opset: 17, index: 5 });
  expect(nodes[5].inputs[1]!.known!.tensor.dims).toEqual([2]);
  expect(nodes[0].inputs[1]!.shape).toEqual([4, 3, 3, 3]);
});

test('free axes are bound from samples, else from given shapes', async () => {
  const file = flattened();
  const bySample = await analyse(file, { samples: { x: weights([1, 3, 10, 12], 2) } });
  expect(bySample.inputs[0].shape).toEqual([2, 3, 10, 12]);
  const byShape = await analyse(file, { inputShapes: { x: [1, 3, 20, 8] } });
  expect(byShape.inputs[0].shape).toEqual([2, 3, 20, 8]);
});

test('an axis that only takes one size is varied with the batch alone', async () => {
  const file = net({
    nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    inputs: { x: ['batch', 'width'] },
    outputs: ['y'],
    weights: { w: weights([32, 5], 3) },
  });
  const { values, sizes } = await analyse(file);
  expect(sizes.get('width')).toBe(32);
  expect(values.get('y')!.shapes).toEqual([
    [2, 5],
    [3, 5],
  ]);
});

test('an initializer that an old file lists as input is a constant', async () => {
  const file = net({
    nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    inputs: { x: ['batch', 4], w: [4, 5] },
    outputs: ['y'],
    weights: { w: weights([4, 5], 3) },
  });
  const { inputs, values } = await analyse(file);
  expect(inputs.map((i) => i.name)).toEqual(['x']);
  expect(values.get('w')!.known).toBeDefined();
});

test('the nodes of both branches of an If are seen, the taken one or not', async () => {
  const body = (op: string) => ({
    graph: {
      node: [makeNode(op, ['x'], [`${op}/out`])],
      name: op,
      initializer: [],
      sparseInitializer: [],
      input: [],
      output: [{ name: `${op}/out`, metadataProps: [] }],
      valueInfo: [],
      quantizationAnnotation: [],
      metadataProps: [],
    },
  });
  const file = net({
    nodes: [
      makeNode('ReduceMax', ['x'], ['top'], { keepdims: 0 }),
      makeNode('Greater', ['top', 'zero'], ['positive']),
      makeNode('If', ['positive'], ['y'], { then_branch: body('Relu'), else_branch: body('Neg') }, { name: 'if' }),
    ],
    inputs: { x: ['batch', 4] },
    outputs: ['y'],
    weights: { zero: weights([], 3) },
  });
  const analysis = await analyse(file);
  expect(analysis.channelNodes().map((n) => n.op)).toEqual(['ReduceMax', 'Greater', 'Relu', 'Neg', 'If']);
  expect(analysis.values.get('Neg/out')!.shapes).toEqual([
    [2, 4],
    [3, 4],
  ]);
  expect(analysis.values.get('y')!.shapes).toEqual([
    [2, 4],
    [3, 4],
  ]);
});

test('a model that does not run is refused with what onnxruntime says', async () => {
  const file = net({
    nodes: [makeNode('MatMul', ['x', 'w'], ['y'], {}, { name: 'product' })],
    inputs: { x: ['batch', 3] },
    outputs: ['y'],
    weights: { w: weights([4, 5], 3) },
  });
  expect(await errorOf(() => analyse(file))).toMatchObject({ code: 'MODEL_UNRUNNABLE' });
});
