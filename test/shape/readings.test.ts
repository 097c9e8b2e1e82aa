import { expect, test } from 'vitest';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { analyse } from '../../src/shape/analyse.js';
import { int64 } from '../../src/tensor/tensor.js';
import { errorOf } from '../onnx/shared.js';
import { fileOf } from '../prune/net.js';
import { weights } from './nets.js';

/** y = x + sum of a constant that is reshaped to [k]: of the numbers that k can be, one alone is right. */
function choosy(size: number): OnnxFile {
  const graph = makeGraph({
    node: [
      makeNode('Reshape', ['table', 'k'], ['row'], { allowzero: 1 }),
      makeNode('ReduceSum', ['row'], ['sum'], { keepdims: 0 }),
      makeNode('Add', ['x', 'sum'], ['y']),
    ],
    initializer: [makeTensor('table', weights([size], 1))],
    input: [makeValueInfo('x', 'float32', ['N', 4]), makeValueInfo('k', 'int64', [1])],
    output: [makeValueInfo('y', 'float32', ['N', 4])],
  });
  return fileOf(makeModel(graph, 14));
}

test('a model that insists on a number is run with common ones', async () => {
  const { inputs, values } = await analyse(choosy(16000));
  expect(inputs.find((i) => i.name === 'k')?.fill).toBe(16000);
  expect(values.get('row')?.shapes[0]).toEqual([16000]);
});

test('where no number is taken, the message names the input that needs a real one', async () => {
  const error = await errorOf(() => analyse(choosy(7)));
  expect(error.code).toBe('MODEL_UNRUNNABLE');
  expect(error.hint).toContain("'k' with --inputs");
  const { values } = await analyse(choosy(7), { samples: { k: int64([1], [7]) } });
  expect(values.get('row')?.shapes[0]).toEqual([7]);
});

test('the middle axis of a recurrent state is the batch where nothing else runs', async () => {
  const graph = makeGraph({
    node: [makeNode('Unsqueeze', ['x', 'front'], ['row']), makeNode('Concat', ['state', 'row'], ['next'], { axis: 0 })],
    initializer: [makeTensor('front', int64([1], [0]))],
    input: [makeValueInfo('x', 'float32', ['', 4]), makeValueInfo('state', 'float32', [2, '', 4])],
    output: [makeValueInfo('next', 'float32', [3, '', 4])],
  });
  const { inputs, values } = await analyse(fileOf(makeModel(graph, 13)));
  expect(inputs.map((i) => i.batchAxis)).toEqual([0, 1]);
  expect(values.get('next')?.shapes).toEqual([
    [3, 2, 4],
    [3, 3, 4],
  ]);
});
