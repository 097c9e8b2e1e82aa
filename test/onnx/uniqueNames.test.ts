import { expect, test } from 'vitest';
import { graphsFrom } from '../../src/onnx/graph.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import { withUniqueNames } from '../../src/onnx/uniqueNames.js';
import { weights } from '../shape/nets.js';

function branch(op: string) {
  return {
    graph: makeGraph({
      node: [makeNode('MatMul', ['x', 'w'], ['h']), makeNode(op, ['h'], ['r'])],
      initializer: [makeTensor('w', weights([4, 4], 1))],
      output: [makeValueInfo('r', 'float32')],
    }),
  };
}

test('values of two branches get names of their own, and what is read follows', () => {
  const node = makeNode('If', ['c'], ['y'], { then_branch: branch('Neg'), else_branch: branch('Abs') });
  const graph = makeGraph({ node: [node], input: [makeValueInfo('x', 'float32'), makeValueInfo('c', 'bool')] });
  const unique = withUniqueNames(makeModel(graph, 17));
  const [, first, second] = [...graphsFrom(unique.graph)].map((g) => g.graph);
  expect(first.node.map((n) => [...n.input, ...n.output])).toEqual([
    ['x', 'w', 'h'],
    ['h', 'r'],
  ]);
  expect(second.node.map((n) => [...n.input, ...n.output])).toEqual([
    ['x', 'w_1', 'h_1'],
    ['h_1', 'r_1'],
  ]);
  expect([second.initializer[0].name, second.output[0].name]).toEqual(['w_1', 'r_1']);
});

test('a model without such names is left alone', () => {
  const graph = makeGraph({ node: [makeNode('If', ['c'], ['y'], { then_branch: branch('Neg') })] });
  const model = makeModel(graph, 17);
  expect(withUniqueNames(model)).toBe(model);
});
