import Long from 'long';
import { expect, test } from 'vitest';
import { makeAttribute } from '../../src/onnx/attributes.js';
import { makeGraph, makeNode, makeTensor } from '../../src/onnx/make.js';
import { decodeModel } from '../../src/onnx/read.js';
import { constantOf, elementCount, readWeight, setConstant, weightsOf, writeWeight } from '../../src/onnx/weights.js';
import { encodeModel } from '../../src/onnx/write.js';
import { float32, int64 } from '../../src/tensor/tensor.js';
import { errorOf, smallModel } from './shared.js';

test('float initializers, Constant nodes and sparse tensors are weights, in bodies too', async () => {
  const body = makeGraph({ node: [makeNode('Constant', [], ['in body'], { value_floats: { floats: [1, 2] } })] });
  const half = { dtype: 'float16', dims: [2], data: Uint16Array.of(0, 1) } as const;
  const sparse = { dims: [4, 5], values: makeTensor('s', float32([1], [1])), indices: makeTensor('', int64([1], [3])) };
  const sparseConstant = makeNode('Constant', [], ['sparse constant']);
  sparseConstant.attribute.push({ ...makeAttribute('sparse_value', 0), i: undefined, type: 11, sparseTensor: sparse });
  const graph = makeGraph({
    node: [
      makeNode('Constant', [], ['c'], { value: { tensor: makeTensor('', float32([3], [1, 2, 3])) } }),
      makeNode('Constant', [], ['shape'], { value: { tensor: makeTensor('', int64([1], [3])) } }),
      makeNode('Constant', [], ['f'], { value_float: { float: 2 } }),
      makeNode('If', ['cond'], ['y'], { then_branch: { graph: body } }),
      sparseConstant,
    ],
    initializer: [makeTensor('w', half), makeTensor('ints', int64([2], [1, 2]))],
    sparseInitializer: [sparse],
  });
  const weights = weightsOf(graph);
  expect(weights.map((w) => [w.name, w.source.kind, w.dtype, ...w.dims])).toEqual([
    ['w', 'initializer', 'float16', 2],
    ['s', 'sparse', 'float32', 4, 5],
    ['c', 'constant', 'float32', 3],
    ['f', 'constant', 'float32'],
    ['sparse constant', 'sparse', 'float32', 4, 5],
    ['in body', 'constant', 'float32', 2],
  ]);
  expect(elementCount(weights)).toBe(2 + 20 + 3 + 1 + 20 + 2);
  expect(readWeight(weights[0])).toEqual(half);
  expect(readWeight(weights[5])).toEqual(float32([2], [1, 2]));
  for (const w of [weights[0], weights[2], weights[3], weights[5]]) {
    writeWeight(w, float32([1], [7]));
    expect(readWeight(w)).toEqual(float32([1], [7]));
  }
  expect(graph.initializer[0].name).toBe('w');
  expect((await errorOf(() => readWeight(weights[1]))).message).toMatch(/sparse/);
  expect((await errorOf(() => writeWeight(weights[4], float32([], [1])))).message).toMatch(/sparse/);
});

test('a Constant node is read in each of its forms', () => {
  const read = (attributes: Parameters<typeof makeNode>[3]) => constantOf(makeNode('Constant', [], ['c'], attributes));
  expect(read({ value_float: { float: 1.5 } })).toEqual(float32([], [1.5]));
  expect(read({ value_floats: { floats: [] } })).toEqual(float32([0], []));
  expect(read({ value_int: 3 })).toEqual(int64([], [3]));
  expect(read({ value_ints: [3, -4] })).toEqual(int64([2], [3, -4]));
  expect(read({ value_string: 'ä' })).toEqual({ dtype: 'string', dims: [], data: ['ä'] });
  expect(read({ value_strings: { strings: ['a', 'b'] } })).toEqual({ dtype: 'string', dims: [2], data: ['a', 'b'] });
  expect(constantOf(makeNode('Relu', ['x'], ['y']))).toBeUndefined();
  expect(constantOf(makeNode('Constant', [], ['c'], {}, { domain: 'mine' }))).toBeUndefined();
});

test('its integers are exact to the last bit', () => {
  const node = makeNode('Constant', [], ['c'], { value_ints: [0] });
  node.attribute[0].ints = [Long.MAX_VALUE, Long.MIN_VALUE];
  expect(constantOf(node)?.data).toEqual(BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)));
});

test('new contents of a Constant node are written and read again', () => {
  const model = smallModel();
  const node = makeNode('Constant', [], ['c'], { value_int: 3 });
  model.graph.node.push(node);
  setConstant(node, float32([2], [1, 2]));
  const again = decodeModel(encodeModel(model)).model.graph.node[1];
  expect(again.attribute.map((a) => a.name)).toEqual(['value']);
  expect(constantOf(again)).toEqual(float32([2], [1, 2]));
});
