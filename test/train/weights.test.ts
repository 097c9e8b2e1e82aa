import { expect, it } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { withWeights } from '../../src/train/weights.js';
import { net, weights } from '../shape/nets.js';

it('a bias that was told apart is stored once, however many nodes read it', async () => {
  const file = net({
    nodes: [
      makeNode('Gemm', ['x', 'w', 'b'], ['h'], {}, { name: 'first' }),
      makeNode('Gemm', ['h', 'v', 'b'], ['i'], {}, { name: 'tied' }),
      makeNode('Gemm', ['i', 'v', 'b'], ['y'], {}, { name: 'tied_again' }),
    ],
    inputs: { x: ['batch', 4] },
    outputs: ['y'],
    weights: { w: weights([4, 4], 1), v: weights([4, 4], 2), b: weights([4], 3) },
  });
  const graph = await trainingGraph(file, await analyse(file), 2);
  expect(graph.clones.map((c) => c.name)).toEqual(['b_1', 'b_1']);
  const { model } = withWeights(file, graph, graph.parameters);
  expect(model.graph.initializer.map((t) => t.name)).toEqual(['w', 'v', 'b', 'b_1']);
  expect(model.graph.node.map((n) => n.input[2])).toEqual(['b', 'b_1', 'b_1']);
});
