import { describe, expect, test } from 'vitest';
import { graphsFrom, nodesFrom } from '../../src/onnx/graph.js';
import { makeGraph, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { GraphProto, NodeProto, TensorProto } from '../../src/onnx/proto.js';
import { tensorDims } from '../../src/onnx/tensors.js';
import { weightsOf } from '../../src/onnx/weights.js';
import { weightAxes } from '../../src/prune/axes.js';
import { channelsOf } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { drawUnits, zeroUnits } from '../../src/prune/zero.js';
import { analyse } from '../../src/shape/analyse.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { float32, int64 } from '../../src/tensor/tensor.js';
import { weights } from '../shape/nets.js';
import { columns, fileOf, rows, stripped, TinyNet, unitsIn } from './net.js';

/** Shape of every weight of a model, those in bodies too. */
function shapes(graph: GraphProto): Record<string, readonly number[]> {
  return Object.fromEntries(weightsOf(graph).map((w) => [w.name, w.dims]));
}

/** Zeroes a share of all units and strips, which proves that the outputs stay. */
async function halved(file: OnnxFile) {
  const analysis = await analyse(file);
  const channels = channelsOf(analysis);
  const { families } = unitsOf(channels);
  const { chosen, count } = drawUnits(families, 0.5, 3);
  const result = await stripped(fileOf(zeroUnits(channels, families, chosen)));
  return { ...result, zeroed: count, shapes: shapes(result.model.graph) };
}

function body(
  node: readonly NodeProto[],
  output: readonly string[],
  more: Partial<GraphProto> = {},
): { graph: GraphProto } {
  return {
    graph: makeGraph({ node: [...node], output: output.map((name) => ({ name, metadataProps: [] })), ...more }),
  };
}

/** Whether a sum is positive: a condition that depends on data. */
function condition(net: TinyNet): void {
  net.node('ReduceSum', ['x'], 's', { keepdims: 0 });
  net.node('Greater', ['s', net.constant('zero', float32([], [0]))], 'c');
}

describe('If', () => {
  const branch = (op: string, columnsDead: readonly number[] = []) => {
    const tensors: TensorProto[] = [];
    const w = weights([6, 7], op.length);
    columns([6, 7], columnsDead)(w.data as Float32Array);
    tensors.push(makeTensor('w', w));
    return body([makeNode('MatMul', ['h', 'w'], ['m']), makeNode(op, ['m'], ['r'])], ['r'], { initializer: tensors });
  };
  const build = (dead: readonly (readonly number[])[] = [[], []]) => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
    condition(net);
    net.node('If', ['c'], 'o', { then_branch: branch('Relu', dead[0]), else_branch: branch('Tanh', dead[1]) });
    net.node('MatMul', ['o', net.weight('w3', [7, 3])], 'y');
    return net.file(['N', 5], ['N', 3], { opset: 17 });
  };

  test('channels that both branches make go from the weights of both, and from what they capture', async () => {
    const { zeroed, removed, shapes: left } = await halved(build());
    expect([zeroed, removed]).toEqual([7, 7]);
    expect(left).toMatchObject({ w1: [5, 3], w: [3, 3], w_1: [3, 3], w3: [3, 3] });
  });

  test('a channel that is dead in one branch alone stays', async () => {
    expect((await stripped(build([[1, 2], [2]]))).removed).toBe(1);
  });

  test('weights in Constant nodes of a branch are cut there', async () => {
    const net = new TinyNet();
    condition(net);
    const own = (name: string, seed: number) =>
      body(
        [
          makeNode('Constant', [], [`${name}1`], { value: { tensor: makeTensor('', weights([5, 8], seed)) } }),
          makeNode('Constant', [], [`${name}2`], { value: { tensor: makeTensor('', weights([8, 3], seed + 1)) } }),
          makeNode('MatMul', ['x', `${name}1`], [`${name}h`]),
          makeNode('MatMul', [`${name}h`, `${name}2`], [`${name}y`]),
        ],
        [`${name}y`],
      );
    net.node('If', ['c'], 'y', { then_branch: own('a', 1), else_branch: own('b', 3) });
    const { removed, shapes: left } = await halved(net.file(['N', 5], ['N', 3], { opset: 17 }));
    expect(removed).toBe(8);
    expect(left).toMatchObject({ a1: [5, 4], a2: [4, 3], b1: [5, 4], b2: [4, 3] });
  });

  test('a branch that does not run keeps what it captures, and says so', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
    condition(net);
    const beyond = body([makeNode('Gather', ['h', 'far'], ['q'], { axis: 1 })], ['q'], {
      initializer: [makeTensor('far', int64([1], [99]))],
    });
    net.node('If', ['c'], 'o', { then_branch: body([makeNode('Neg', ['h'], ['n'])], ['n']), else_branch: beyond });
    net.node('ReduceSum', ['o'], 'y', { keepdims: 0 });
    const { channels, families } = await unitsIn(net.file(['N', 5], [], { opset: 17 }));
    expect(families).toEqual([]);
    const { value } = channels.parameters.get('w1')!;
    expect(channels.pinOf(channels.slotOf({ value, axis: 1 }))?.why).toMatch(
      /a body of this node reads it: .*does not run/,
    );
  });

  test('a branch that no input leads into pins nothing', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
    net.node('Shape', ['h'], 'sizes');
    net.node('Gather', ['sizes', net.constant('one', int64([], [1]))], 'size');
    net.node('Equal', ['size', 'one'], 'c');
    const beyond = body([makeNode('Gather', ['h', 'far'], ['q'], { axis: 1 })], ['q'], {
      initializer: [makeTensor('far', int64([1], [99]))],
    });
    net.node('If', ['c'], 'o', { then_branch: beyond, else_branch: body([makeNode('Neg', ['h'], ['n'])], ['n']) });
    net.node('MatMul', ['o', net.weight('w2', [6, 3])], 'y');
    const { removed, shapes: left } = await halved(net.file(['N', 5], ['N', 3], { opset: 17 }));
    expect(removed).toBe(3);
    expect(left).toMatchObject({ w1: [5, 3], w2: [3, 3] });
  });
});

test('what a branch that is never taken reads stays where it would not load otherwise', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w1', [5, 6], columns([5, 6], [1, 4]))], 'h');
  net.node('Shape', ['h'], 'sizes');
  net.node('Gather', ['sizes', net.constant('one', int64([], [1]))], 'size');
  net.node('Equal', ['size', 'one'], 'c');
  const unfit = body(
    [
      makeNode('Gather', ['h', 'far'], ['q'], { axis: 1 }),
      makeNode('Add', ['h', 'six'], ['z']),
      makeNode('Concat', ['q', 'z'], ['v'], { axis: 1 }),
    ],
    ['v'],
    { initializer: [makeTensor('far', int64([1], [99])), makeTensor('six', weights([6], 1))] },
  );
  net.node('If', ['c'], 'o', { then_branch: unfit, else_branch: body([makeNode('Neg', ['h'], ['n'])], ['n']) });
  net.node('MatMul', ['o', net.weight('w2', [6, 3])], 'y');
  const file = net.file(['N', 5], ['N', 3], { opset: 17 });
  expect((await unitsIn(file)).families.map((f) => f.count)).toEqual([6]);
  expect((await stripped(file)).removed).toBe(0);
});

describe('Loop', () => {
  const cell = () =>
    body(
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
      {
        input: [
          makeValueInfo('i', 'int64', []),
          makeValueInfo('going', 'bool', []),
          makeValueInfo('before', 'float32'),
        ],
      },
    );
  const build = (first: number) => {
    const net = new TinyNet();
    net.constant('trips', int64([], [4]));
    net.constant('h0', float32([2, 6], new Float32Array(12).fill(first)));
    net.weight('wx', [5, 6]);
    net.weight('wh', [6, 6]);
    net.weight('b', [6]);
    net.node('Loop', ['trips', '', 'h0'], 'last all', { body: cell() });
    net.node('MatMul', ['last', net.weight('w1', [6, 3])], 'y1');
    net.node('MatMul', ['all', net.weight('w2', [6, 3])], 'y2');
    net.node('Add', ['y1', 'y2'], 'y');
    return net.file([4, 2, 5], [4, 2, 3], { opset: 17 });
  };

  test('a carried channel goes from its first value, the captured weights and all readers', async () => {
    const { zeroed, removed, shapes: left } = await halved(build(0));
    expect([zeroed, removed]).toEqual([3, 3]);
    expect(left).toMatchObject({ h0: [2, 3], wx: [5, 3], wh: [3, 3], b: [3], w1: [3, 3], w2: [3, 3] });
  });

  test('a channel that begins with another number than it goes on with stays', async () => {
    const net = build(1);
    for (const t of net.model.graph.initializer) {
      const dims = tensorDims(t);
      if (t.name === 'wx' || t.name === 'wh') columns(dims, [2])(new Float32Array(t.rawData!.buffer));
      if (t.name === 'b') rows([6], [2])(new Float32Array(t.rawData!.buffer));
    }
    expect((await stripped(net)).removed).toBe(0);
  });

  test('a value whose size changes is pinned, and the loop still runs', async () => {
    const net = new TinyNet();
    net.constant('trips', int64([], [3]));
    net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
    const grows = body(
      [makeNode('Concat', ['sofar', 'h'], ['more'], { axis: 0 }), makeNode('Identity', ['going'], ['goes'])],
      ['goes', 'more'],
      {
        input: [makeValueInfo('i', 'int64', []), makeValueInfo('going', 'bool', []), makeValueInfo('sofar', 'float32')],
      },
    );
    net.node('Loop', ['trips', '', 'h'], 'long', { body: grows });
    net.node('MatMul', ['long', net.weight('w2', [6, 3])], 'y');
    const { removed, shapes: left } = await halved(net.file([2, 5], [8, 3], { opset: 17 }));
    expect(removed).toBe(3);
    expect(left).toMatchObject({ w1: [5, 3], w2: [3, 3] });
  });

  const fills = body(
    [makeNode('SequenceInsert', ['list', 'h'], ['longer']), makeNode('Identity', ['going'], ['goes'])],
    ['goes', 'longer'],
    {
      input: [
        makeValueInfo('i', 'int64', []),
        makeValueInfo('going', 'bool', []),
        {
          name: 'list',
          metadataProps: [],
          type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } },
        },
      ],
    },
  );
  const listed = (isNew: number, edit: (w: Float32Array) => void = () => {}) => {
    const net = new TinyNet();
    net.constant('trips', int64([], [2]));
    net.node('MatMul', ['x', net.weight('w1', [5, 6], edit)], 'h');
    net.node('SequenceEmpty', [], 'none');
    net.node('Loop', ['trips', '', 'none'], 'all', { body: fills });
    net.node('ConcatFromSequence', ['all'], 'one', { axis: 0, new_axis: isNew });
    net.node('MatMul', ['one', net.weight('w2', [6, 3])], 'y');
    return net.file([2, 5], isNew ? [2, 2, 3] : [4, 3], { opset: 17 });
  };

  test.each([0, 1])('channels are followed through a sequence that a loop fills (new axis: %i)', async (isNew) => {
    const { removed, shapes: left } = await halved(listed(isNew));
    expect(removed).toBe(3);
    expect(left).toMatchObject({ w1: [5, 3], w2: [3, 3] });
  });

  test('elements of different shapes stay as they are, with the reason', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
    net.node('Concat', ['h', 'h'], 'twice', { axis: 0 });
    net.node('SequenceConstruct', ['h', 'twice'], 'list');
    net.node('ConcatFromSequence', ['list'], 'one', { axis: 0 });
    net.node('MatMul', ['one', net.weight('w2', [6, 3])], 'y');
    const { families, pinned } = await unitsIn(net.file([2, 5], [6, 3], { opset: 17 }));
    expect(families).toEqual([]);
    expect(pinned[0].by.why).toMatch(/elements of the sequence may differ in shape/);
  });
});

describe('Scan', () => {
  test('hidden units of a recurrent cell are cut, in the shape of the first state too', async () => {
    const net = new TinyNet();
    net.node('Shape', ['x'], 'rows', { start: 0, end: 1 });
    net.node('Concat', ['rows', net.ints('hidden', [6])], 'sizes', { axis: 0 });
    net.node('ConstantOfShape', ['sizes'], 'h0');
    const cell = body(
      [
        makeNode('MatMul', ['xt', 'wx'], ['a']),
        makeNode('MatMul', ['before', 'wh'], ['r']),
        makeNode('Sum', ['a', 'r', 'b'], ['s']),
        makeNode('Tanh', ['s'], ['after']),
        makeNode('Identity', ['after'], ['seen']),
      ],
      ['after', 'seen'],
      {
        input: [makeValueInfo('before', 'float32', ['N', 6]), makeValueInfo('xt', 'float32', ['N', 5])],
        initializer: [makeTensor('wh', weights([6, 6], 4)), makeTensor('b', weights([6], 5))],
      },
    );
    net.weight('wx', [5, 6]);
    net.node('Scan', ['h0', 'x'], 'last all', {
      body: cell,
      num_scan_inputs: 1,
      scan_input_axes: [1],
      scan_output_axes: [1],
    });
    net.node('MatMul', ['all', net.weight('w2', [6, 3])], 'y');
    const { removed, shapes: left, model } = await halved(net.file(['N', 7, 5], ['N', 7, 3], { opset: 17 }));
    expect(removed).toBe(3);
    expect(left).toMatchObject({ wx: [5, 3], wh: [3, 3], b: [3], w2: [3, 3] });
    const [, { graph: inner }] = [...graphsFrom(model.graph)];
    expect(inner.input[0].type?.tensorType?.shape?.dim.map((d) => d.dimValue ?? d.dimParam)).toEqual(['N', 3]);
  });
});

test('of every weight it can be told what holds it, wherever it lies', async () => {
  const net = new TinyNet();
  condition(net);
  const open = body([makeNode('MatMul', ['x', 'w1'], ['h']), makeNode('MatMul', ['h', 'w2'], ['a'])], ['a'], {
    initializer: [makeTensor('w1', weights([5, 6], 1)), makeTensor('w2', weights([6, 1], 2))],
  });
  const shut = body(
    [makeNode('Gather', ['x', 'far'], ['q'], { axis: 1 }), makeNode('MatMul', ['q', 'w3'], ['b'])],
    ['b'],
    { initializer: [makeTensor('far', int64([2], [99, 98])), makeTensor('w3', weights([2, 1], 3))] },
  );
  net.node('If', ['c'], 'y', { then_branch: open, else_branch: shut });
  const analysis = await analyse(net.file(['N', 5], ['N', 1], { opset: 17 }));
  const channels = channelsOf(analysis);
  const where = { model: analysis.file.model, closed: analysis.bodies.closed };
  const told = weightAxes(channels, unitsOf(channels), where);
  const of = (name: string) => told.filter((a) => a.weight === name);
  expect(of('w1').map((a) => a.removable)).toEqual([0, 6]);
  expect(of('w1')[0].pinned[0].by).toMatchObject({ node: 'x', why: 'it is an input of the model' });
  expect(of('w3').map((a) => a.removable)).toEqual([0]);
  expect(of('w3')[0].pinned[0].by).toMatchObject({ node: 'y/If', op: 'If' });
  expect(of('w3')[0].pinned[0].by.why).toMatch(/^its else_branch is not followed: it does not run on the inputs/);
});

test('a name that a body shadows is another value', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w', [5, 6])], 'h');
  condition(net);
  const shadowing = body([makeNode('MatMul', ['h', 'w'], ['r'])], ['r'], {
    initializer: [makeTensor('w', weights([6, 7], 2))],
  });
  const other = body([makeNode('MatMul', ['h', 'v'], ['r'])], ['r'], {
    initializer: [makeTensor('v', weights([6, 7], 3))],
  });
  net.node('If', ['c'], 'o', { then_branch: shadowing, else_branch: other });
  net.node('MatMul', ['o', net.weight('w3', [7, 3])], 'y');
  const { removed, shapes: left } = await halved(net.file(['N', 5], ['N', 3], { opset: 17 }));
  expect(removed).toBe(7);
  expect(left).toMatchObject({ w: [5, 3], w_1: [3, 3], v: [3, 3] });
});

test('control flow inside control flow is entered as well', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w1', [5, 6])], 'h');
  condition(net);
  const inner = (name: string, seed: number) =>
    body([makeNode('MatMul', ['h', name], [`${name}r`])], [`${name}r`], {
      initializer: [makeTensor(name, weights([6, 7], seed))],
    });
  const outer = body(
    [
      makeNode('Not', ['c'], ['d']),
      makeNode('If', ['d'], ['e'], { then_branch: inner('p', 1), else_branch: inner('q', 2) }),
    ],
    ['e'],
  );
  net.node('If', ['c'], 'o', { then_branch: outer, else_branch: inner('t', 3) });
  net.node('MatMul', ['o', net.weight('w3', [7, 3])], 'y');
  const { removed, shapes: left, model } = await halved(net.file(['N', 5], ['N', 3], { opset: 17 }));
  expect(removed).toBe(7);
  expect(left).toMatchObject({ w1: [5, 3], p: [3, 3], q: [3, 3], t: [3, 3], w3: [3, 3] });
  expect([...nodesFrom(model.graph)].filter((n) => n.opType === 'If')).toHaveLength(2);
});
