import { describe, expect, test } from 'vitest';
import {
  capturesOf,
  checkGraph,
  graphsFrom,
  indexGraph,
  nodesFrom,
  opsetOf,
  readsOf,
  realInputs,
  removeUnused,
  shapeOf,
  sortedNodes,
  tensorsFrom,
} from '../../src/onnx/graph.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { GraphProto, NodeProto } from '../../src/onnx/proto.js';
import { float32 } from '../../src/tensor/tensor.js';
import { errorOf } from './shared.js';

const one = float32([1], [1]);
const info = (name: string) => makeValueInfo(name, 'float32', [1]);

/** x → a → b → y, an If whose bodies capture `a` and `w`, and a branch that goes nowhere. */
function sample(): GraphProto {
  const inner = makeGraph({ name: 'inner', node: [makeNode('Neg', ['a'], ['deep'])], output: [info('deep')] });
  const then = makeGraph({
    name: 'then',
    node: [
      makeNode('If', ['k'], ['t'], { then_branch: { graph: inner }, else_branch: { graph: inner } }),
      makeNode('Abs', ['w'], ['unused']),
    ],
    initializer: [makeTensor('k', { dtype: 'bool', dims: [], data: Uint8Array.of(1) }), makeTensor('spare', one)],
    output: [info('t')],
  });
  const other = makeGraph({ name: 'else', node: [makeNode('Mul', ['a', 'w'], ['e'])], output: [info('e')] });
  return makeGraph({
    node: [
      makeNode('Relu', ['x'], ['a']),
      makeNode('Add', ['a', 'v'], ['b']),
      makeNode('If', ['c'], ['y'], { then_branch: { graph: then }, else_branch: { graph: other } }),
      makeNode('Mul', ['b', 'dead.w'], ['dead']),
      makeNode('Exp', ['dead'], ['deader']),
    ],
    initializer: [makeTensor('v', one), makeTensor('w', one), makeTensor('dead.w', one), makeTensor('old', one)],
    input: [info('x'), makeValueInfo('c', 'bool', []), info('old'), info('v')],
    output: [info('y'), info('b')],
    valueInfo: [info('a'), info('dead'), info('dead.w'), info('old')],
    quantizationAnnotation: [
      { tensorName: 'dead', quantParameterTensorNames: [] },
      { tensorName: 'a', quantParameterTensorNames: [] },
    ],
  });
}

const ops = (nodes: Iterable<NodeProto>) => Array.from(nodes, (n) => n.opType);

describe('walking', () => {
  test('enters bodies, outer graphs first', () => {
    expect(Array.from(graphsFrom(sample()), (g) => g.graph.name)).toEqual(['graph', 'then', 'inner', 'inner', 'else']);
    expect(ops(nodesFrom(sample()))).toEqual(['Relu', 'Add', 'If', 'If', 'Neg', 'Neg', 'Abs', 'Mul', 'Mul', 'Exp']);
  });

  test('a node reads what its bodies capture, however deep', () => {
    const [, , branch] = sample().node;
    expect(readsOf(branch).sort()).toEqual(['a', 'c', 'w']);
    expect([...capturesOf(sample())]).toEqual([]);
  });

  test('finds every tensor message', () => {
    const sparse = { dims: [4], values: makeTensor('s', one), indices: makeTensor('i', one) };
    const graph = sample();
    graph.sparseInitializer.push(sparse);
    graph.node.push(makeNode('Constant', [], ['const'], { value: { tensor: makeTensor('', one) } }));
    const model = makeModel(graph, 18);
    model.functions.push({
      input: [],
      output: [],
      attribute: [],
      attributeProto: [],
      opsetImport: [],
      valueInfo: [],
      metadataProps: [],
      node: [makeNode('Constant', [], ['in function'], { value: { tensor: makeTensor('', one) } })],
    });
    model.trainingInfo.push({ algorithm: sample(), initializationBinding: [], updateBinding: [] });
    const roles = Array.from(tensorsFrom(model), (t) => t.role);
    expect(roles.filter((r) => r === 'initializer')).toHaveLength(12);
    expect(roles.filter((r) => r === 'sparse')).toHaveLength(2);
    expect(roles.filter((r) => r === 'attribute')).toHaveLength(2);
  });
});

test('the index knows producers, readers through captures, and what has to be fed', () => {
  const graph = sample();
  const index = indexGraph(graph);
  expect(index.producers.get('b')?.opType).toBe('Add');
  expect(ops(index.readers.get('a') ?? [])).toEqual(['Add', 'If']);
  expect(ops(index.readers.get('w') ?? [])).toEqual(['If']);
  expect([...index.inputs]).toEqual(['x', 'c']);
  expect(realInputs(graph).map((i) => i.name)).toEqual(['x', 'c']);
  expect([...index.outputs]).toEqual(['y', 'b']);
  expect([...index.initializers.keys()]).toEqual(['v', 'w', 'dead.w', 'old']);
});

describe('removal of what is unused', () => {
  test('takes dead nodes, initializers, their input entries and what was said about them, in bodies too', () => {
    const graph = sample();
    expect(removeUnused(graph)).toEqual({ nodes: 3, initializers: 3 });
    expect(ops(nodesFrom(graph))).toEqual(['Relu', 'Add', 'If', 'If', 'Neg', 'Neg', 'Mul']);
    expect(graph.initializer.map((t) => t.name)).toEqual(['v', 'w']);
    expect(graph.input.map((i) => i.name)).toEqual(['x', 'c', 'v']);
    expect(graph.valueInfo.map((v) => v.name)).toEqual(['a']);
    expect(graph.quantizationAnnotation.map((q) => q.tensorName)).toEqual(['a']);
    expect(removeUnused(graph)).toEqual({ nodes: 0, initializers: 0 });
    checkGraph(graph);
  });

  test('keeps what it is told to keep, with what that needs', () => {
    const graph = sample();
    removeUnused(graph, ['dead']);
    expect(ops(graph.node)).toEqual(['Relu', 'Add', 'If', 'Mul']);
    expect(graph.initializer.map((t) => t.name)).toEqual(['v', 'w', 'dead.w']);
  });

  test('keeps inputs that nothing reads', () => {
    const graph = makeGraph({
      node: [makeNode('Relu', ['x'], ['y'])],
      input: [info('x'), info('z')],
      output: [info('y')],
    });
    removeUnused(graph);
    expect(graph.input.map((i) => i.name)).toEqual(['x', 'z']);
  });
});

describe('order', () => {
  test('a right order stays, a wrong one is repaired, captures count', () => {
    const graph = sample();
    expect(sortedNodes(graph)).toEqual(graph.node);
    graph.node.reverse();
    const sorted = sortedNodes(graph);
    expect(sorted).toHaveLength(5);
    checkGraph({ ...graph, node: sorted });
  });

  test('a chain of 50,000 nodes is no problem, a cycle is', async () => {
    const node = Array.from({ length: 50_000 }, (_, i) => makeNode('Relu', [`v${i}`], [`v${i + 1}`])).reverse();
    expect(sortedNodes({ node })[0].input[0]).toBe('v0');
    const cycle = makeGraph({ node: [makeNode('Add', ['x', 'b'], ['a']), makeNode('Relu', ['a'], ['b'])] });
    expect((await errorOf(() => sortedNodes(cycle))).message).toMatch(/depends on itself/);
  });

  test('breaches are named', async () => {
    const cases: [graph: GraphProto, says: RegExp][] = [
      [makeGraph({ node: [makeNode('Relu', ['x'], ['y'])] }), /'x' is read before/],
      [
        makeGraph({ node: [makeNode('Relu', ['x'], ['y']), makeNode('Abs', ['x'], ['y'])], input: [info('x')] }),
        /'y' is made twice/,
      ],
      [makeGraph({ node: [], output: [info('y')] }), /nothing makes the graph output 'y'/],
    ];
    for (const [graph, says] of cases) {
      const error = await errorOf(() => checkGraph(graph));
      expect(error.code).toBe('MODEL_INVALID');
      expect(error.message).toMatch(says);
    }
  });
});

test('operator sets are found by both names of the default domain', () => {
  const model = makeModel(makeGraph({ node: [] }), 17, ['com.microsoft']);
  expect([opsetOf(model), opsetOf(model, 'ai.onnx'), opsetOf(model, 'com.microsoft'), opsetOf(model, 'other')]).toEqual(
    [17, 17, 1, 0],
  );
  model.opsetImport = [{ domain: 'ai.onnx', version: 9 }];
  expect(opsetOf(model)).toBe(9);
  model.opsetImport = [];
  expect(opsetOf(model)).toBe(1);
});

test('declared shapes tell numbers, free axes and unknown ones', () => {
  const value = makeValueInfo('x', 'float32', ['N', 3]);
  value.type?.tensorType?.shape?.dim.push({});
  expect(shapeOf(value)).toEqual(['N', 3, undefined]);
  expect(shapeOf({ name: 'x', metadataProps: [] })).toBeUndefined();
});
