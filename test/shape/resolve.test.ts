import { expect, test } from 'vitest';
import { makeGraph, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { GraphProto, NodeProto } from '../../src/onnx/proto.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.js';
import { net, type NetParts, weights } from './nets.js';

/** The training graph, which is proved to give the outputs of the model. */
async function trained(file: OnnxFile, samples?: Readonly<Record<string, Tensor>>) {
  const analysis = await analyse(file, { samples });
  return trainingGraph(file, analysis, analysis.batch.kind === 'fixed' ? analysis.batch.size : 2);
}

function body(node: readonly NodeProto[], output: readonly string[], more: Partial<GraphProto> = {}) {
  return {
    graph: makeGraph({ node: [...node], output: output.map((name) => ({ name, metadataProps: [] })), ...more }),
  };
}

function branch(weight: string, seed: number, dims: readonly number[] = [4, 3]) {
  return body([makeNode('MatMul', ['h', weight], [`${weight}/out`])], [`${weight}/out`], {
    initializer: [makeTensor(weight, weights(dims, seed))],
  });
}

/** An If between two layers, its condition made by `nodes`; `other` is the shape of the else branch's weight. */
function choice(
  nodes: readonly NodeProto[],
  { other = [4, 3], ...more }: Partial<NetParts> & { other?: readonly number[] } = {},
): OnnxFile {
  return net({
    nodes: [
      makeNode('MatMul', ['x', 'w1'], ['h']),
      ...nodes,
      makeNode(
        'If',
        ['c'],
        ['y'],
        { then_branch: branch('a', 2), else_branch: branch('b', 3, other) },
        { name: 'choice' },
      ),
    ],
    inputs: { x: ['batch', 5] },
    outputs: ['y'],
    ...more,
    weights: { w1: weights([5, 4], 1), two: int64([], [2]), ...more.weights },
  });
}

test('of an If whose condition follows from shapes the branch that it takes is trained', async () => {
  const rank = [
    makeNode('Shape', ['h'], ['sizes']),
    makeNode('Size', ['sizes'], ['rank']),
    makeNode('Equal', ['rank', 'two'], ['c']),
  ];
  const graph = await trained(choice(rank));
  expect([...graph.parameters.keys()]).toEqual(['w1', 'a']);
  expect(graph.trained.find((t) => t.name === 'b')?.why).toBe("in the else_branch of If 'choice', which is not taken");
  expect(graph.nodes.map((n) => n.opType)).toEqual(['MatMul', 'MatMul']);
});

test('a condition on a whole number that is given counts as known, and is told', async () => {
  const file = choice([makeNode('Equal', ['rate', 'two'], ['c'])]);
  file.model.graph.input.push(makeValueInfo('rate', 'int64', []));
  const graph = await trained(file, { rate: int64([], [8]) });
  expect([...graph.parameters.keys()]).toEqual(['w1', 'b']);
  expect(graph.notes[0]).toMatch(/If 'choice' is trained as its else_branch/);
});

test('of an If whose condition depends on data both branches are trained', async () => {
  const sum = [makeNode('ReduceSum', ['x'], ['sum'], { keepdims: 0 }), makeNode('Greater', ['sum', 'zero'], ['c'])];
  const graph = await trained(choice(sum, { weights: { zero: float32([], [0]) } }));
  expect([...graph.parameters.keys()].toSorted()).toEqual(['a', 'b', 'w1']);
  expect(graph.nodes.at(-1)!.opType).toBe('Where');
});

test('where they give tensors of different shapes the If stays, and its weights are not trained', async () => {
  const sum = [
    makeNode('ReduceSum', ['x'], ['sum'], { keepdims: 0 }),
    makeNode('Greater', ['sum', 'zero'], ['c']),
    makeNode('MatMul', ['x', 'w2'], ['z']),
  ];
  const file = choice(sum, {
    other: [4, 2],
    outputs: ['y', 'z'],
    weights: { zero: float32([], [0]), w2: weights([5, 3], 4) },
  });
  const graph = await trained(file);
  expect([...graph.parameters.keys()].toSorted()).toEqual(['w1', 'w2']);
  expect(graph.trained.find((t) => t.name === 'a')?.why).toMatch(/inside If 'choice': its condition depends on data/);
  expect(graph.notes).toContain("If 'choice' is not taken apart: its condition depends on data");
});

const flags = [makeValueInfo('i', 'int64', []), makeValueInfo('going', 'bool', [])];

function cell(more: Partial<GraphProto> = {}) {
  return body(
    [
      makeNode('Gather', ['x', 'i'], ['xt'], { axis: 0 }),
      makeNode('MatMul', ['xt', 'wx'], ['a']),
      makeNode('MatMul', ['before', 'wh'], ['r']),
      makeNode('Add', ['a', 'r'], ['s']),
      makeNode('Add', ['s', 'b'], ['t']),
      makeNode('Tanh', ['t'], ['after']),
      makeNode('Identity', ['going'], ['goes']),
      makeNode('Identity', ['after'], ['seen']),
    ],
    ['goes', 'after', 'seen'],
    { input: [...flags, makeValueInfo('before', 'float32')], ...more },
  );
}

function recurrent(trips: number): OnnxFile {
  return net({
    nodes: [
      makeNode('Loop', ['trips', '', 'h0'], ['last', 'all'], { body: cell() }, { name: 'loop' }),
      makeNode('MatMul', ['all', 'w2'], ['y']),
    ],
    inputs: { x: [4, 2, 5] },
    outputs: ['y', 'last'],
    weights: {
      trips: int64([], [trips]),
      h0: float32([2, 6], new Float32Array(12)),
      wx: weights([5, 6], 1),
      wh: weights([6, 6], 2),
      b: weights([6], 3),
      w2: weights([6, 3], 4),
    },
  });
}

test('a Loop that runs a known number of times is unrolled; its iterations share the weights', async () => {
  const graph = await trained(recurrent(4));
  expect([...graph.parameters.keys()].toSorted()).toEqual(['b', 'w2', 'wh', 'wx']);
  expect(graph.nodes.filter((n) => n.opType === 'Tanh')).toHaveLength(4);
  expect(graph.notes).toContain("Loop 'loop' is trained as 4 iterations");
});

test('a Scan is unrolled along its axes, backwards where it runs so', async () => {
  const step = body(
    [
      makeNode('MatMul', ['xt', 'wx'], ['a']),
      makeNode('Add', ['before', 'a'], ['after']),
      makeNode('Relu', ['after'], ['seen']),
      makeNode('Neg', ['after'], ['turned']),
    ],
    ['after', 'seen', 'turned'],
    {
      input: [makeValueInfo('before', 'float32', ['N', 6]), makeValueInfo('xt', 'float32', ['N', 5])],
      initializer: [makeTensor('wx', weights([5, 6], 1))],
    },
  );
  const attributes = {
    body: step,
    num_scan_inputs: 1,
    scan_input_axes: [1],
    scan_input_directions: [1],
    scan_output_axes: [-1, 0],
    scan_output_directions: [1, 0],
  };
  const file = net({
    nodes: [makeNode('Scan', ['start', 'x'], ['last', 'one', 'other'], attributes)],
    inputs: { x: ['batch', 7, 5], start: ['batch', 6] },
    outputs: ['last', 'one', 'other'],
  });
  const graph = await trained(file);
  expect([...graph.parameters.keys()]).toEqual(['wx']);
  expect(graph.nodes.filter((n) => n.opType === 'Relu')).toHaveLength(7);
});

test('an If inside a Loop that looks at the iteration is known in each of them', async () => {
  const odd = body([makeNode('MatMul', ['before', 'w1'], ['p'])], ['p'], {
    initializer: [makeTensor('w1', weights([5, 5], 1))],
  });
  const even = body([makeNode('Relu', ['before'], ['q'])], ['q']);
  const loop = body(
    [
      makeNode('Equal', ['i', 'one'], ['c']),
      makeNode('If', ['c'], ['after'], { then_branch: odd, else_branch: even }),
      makeNode('Identity', ['going'], ['goes']),
    ],
    ['goes', 'after'],
    { input: [...flags, makeValueInfo('before', 'float32')] },
  );
  const file = net({
    nodes: [makeNode('Loop', ['trips', '', 'x'], ['y'], { body: loop })],
    inputs: { x: ['batch', 5] },
    outputs: ['y'],
    weights: { trips: int64([], [3]), one: int64([], [1]) },
  });
  const graph = await trained(file);
  expect([...graph.parameters.keys()]).toEqual(['w1']);
  expect(graph.nodes.map((n) => n.opType)).toEqual(['Relu', 'MatMul', 'Relu']);
});

test('the number of the iteration may be a list of one', async () => {
  const loop = body(
    [
      makeNode('Add', ['i', 'one'], ['next']),
      makeNode('Slice', ['before', 'i', 'next', 'axis'], ['row']),
      makeNode('MatMul', ['row', 'w1'], ['p']),
      makeNode('Add', ['before', 'p'], ['after']),
      makeNode('Identity', ['going'], ['goes']),
    ],
    ['goes', 'after'],
    { input: [makeValueInfo('i', 'int64', [1]), flags[1], makeValueInfo('before', 'float32')] },
  );
  const file = net({
    nodes: [makeNode('Loop', ['trips', '', 'x'], ['y'], { body: loop })],
    inputs: { x: ['batch', 3, 5] },
    outputs: ['y'],
    weights: { trips: int64([], [2]), one: int64([1], [1]), axis: int64([1], [1]), w1: weights([5, 5], 1) },
  });
  expect([...(await trained(file)).parameters.keys()]).toEqual(['w1']);
});

test('a Loop that is too long stays one, with the reason', async () => {
  const file = recurrent(4);
  const long = net({
    nodes: [
      makeNode('MatMul', ['x', 'w1'], ['h']),
      makeNode('Loop', ['trips', '', 'h'], ['y'], {
        body: body(
          [makeNode('Relu', ['before'], ['after']), makeNode('Identity', ['going'], ['goes'])],
          ['goes', 'after'],
          { input: [...flags, makeValueInfo('before', 'float32')] },
        ),
      }),
      makeNode('MatMul', ['x', 'w2'], ['z']),
    ],
    inputs: { x: ['batch', 5] },
    outputs: ['y', 'z'],
    weights: { trips: int64([], [10_000]), w1: weights([5, 5], 1), w2: weights([5, 5], 2) },
  });
  expect((await trained(long)).notes.join()).toMatch(/Loop 'y' is not taken apart: it would take 10000 times 2 nodes/);
  expect((await trained(file)).notes.join()).not.toMatch(/not taken apart/);
});

test('a Loop that counts its iterations itself is unrolled; one that looks at data stays', async () => {
  const counted = (condition: NodeProto[]) =>
    net({
      nodes: [
        makeNode('MatMul', ['x', 'w0'], ['h']),
        makeNode('Loop', ['', 'yes', 'zero', 'h'], ['steps', 'y'], {
          body: body(
            [
              makeNode('Add', ['count', 'one'], ['next']),
              makeNode('MatMul', ['before', 'w1'], ['after']),
              ...condition,
            ],
            ['goes', 'next', 'after'],
            { input: [...flags, makeValueInfo('count', 'int64', []), makeValueInfo('before', 'float32')] },
          ),
        }),
        makeNode('MatMul', ['x', 'w2'], ['z']),
      ],
      inputs: { x: ['batch', 5] },
      outputs: ['y', 'z'],
      weights: {
        yes: { dtype: 'bool', dims: [], data: Uint8Array.of(1) },
        zero: int64([], [0]),
        one: int64([], [1]),
        three: int64([], [3]),
        most: float32([], [1000]),
        w0: weights([5, 5], 1),
        w1: weights([5, 5], 2),
        w2: weights([5, 5], 3),
      },
    });
  const known = await trained(counted([makeNode('Less', ['next', 'three'], ['goes'])]));
  expect([...known.parameters.keys()].toSorted()).toEqual(['w0', 'w1', 'w2']);
  expect(known.notes).toContain("Loop 'steps' is trained as 3 iterations");
  const byData = await trained(
    counted([
      makeNode('ReduceL1', ['after'], ['size'], { keepdims: 0 }),
      makeNode('Less', ['size', 'most'], ['small']),
      makeNode('Less', ['next', 'three'], ['few']),
      makeNode('And', ['small', 'few'], ['goes']),
    ]),
  );
  expect(byData.notes).toContain("Loop 'steps' is not taken apart: it ends by a condition that depends on data");
});
