import { expect, test } from 'vitest';
import { makeAttribute } from '../../src/onnx/attributes.js';
import { withoutFunctions } from '../../src/onnx/functions.js';
import { checkGraph } from '../../src/onnx/graph.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { FunctionProto, ModelProto, NodeProto } from '../../src/onnx/proto.js';
import { openSession } from '../../src/runtime/session.js';
import { float32 } from '../../src/tensor/tensor.js';
import { weights } from '../shape/nets.js';

const OPSET = 17;

function makeFunction(
  name: string,
  input: readonly string[],
  output: readonly string[],
  node: readonly NodeProto[],
  more: Partial<FunctionProto> = {},
): FunctionProto {
  return {
    name,
    domain: 'own',
    input: [...input],
    output: [...output],
    node: [...node],
    attribute: [],
    attributeProto: [],
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'own', version: 1 },
    ],
    valueInfo: [],
    metadataProps: [],
    ...more,
  };
}

/** A call of one of the model's own functions. */
function call(name: string, input: readonly string[], output: readonly string[], attributes = {}): NodeProto {
  return makeNode(name, input, output, attributes, { name: `call ${output[0]}`, domain: 'own' });
}

function modelWith(
  functions: readonly FunctionProto[],
  nodes: readonly NodeProto[],
  tensors: Readonly<Record<string, readonly number[]>> = {},
): ModelProto {
  const graph = makeGraph({
    node: [...nodes],
    input: [makeValueInfo('x', 'float32', ['N', 4])],
    output: [makeValueInfo('y', 'float32')],
    initializer: Object.entries(tensors).map(([name, dims], i) => makeTensor(name, weights(dims, i + 1))),
  });
  return { ...makeModel(graph, OPSET, ['own']), functions: [...functions] };
}

/** The function `activation` takes its slope from the call, or from its default. */
const activation = makeFunction(
  'activation',
  ['a'],
  ['b'],
  [
    {
      ...makeNode('LeakyRelu', ['a'], ['b']),
      attribute: [{ ...makeAttribute('alpha', { float: 0 }), f: undefined, refAttrName: 'slope' }],
    },
  ],
  { attributeProto: [makeAttribute('slope', { float: 0.5 })] },
);

/** A layer with one weight of the caller's, and one inside. */
const layer = makeFunction(
  'layer',
  ['x', 'w'],
  ['out'],
  [
    makeNode('MatMul', ['x', 'w'], ['h']),
    makeNode('Constant', [], ['inner'], { value: { tensor: makeTensor('', weights([5, 4], 9)) } }),
    makeNode('MatMul', ['h', 'inner'], ['m']),
    call('activation', ['m'], ['out'], { slope: { float: 0.2 } }),
  ],
);

async function outputOf(model: ModelProto): Promise<number[]> {
  const session = await openSession(model);
  try {
    const { y } = await session.run({ x: float32([2, 4], [1, -2, 3, -4, 0.5, 6, -7, 8]) });
    return Array.from(y.data as Float32Array);
  } finally {
    await session.close();
  }
}

test('nested functions with weights outside and inside become nodes; calls share the constants inside', async () => {
  const model = modelWith([activation, layer], [call('layer', ['x', 'w1'], ['h']), call('layer', ['h', 'w2'], ['y'])], {
    w1: [4, 5],
    w2: [4, 5],
  });
  const found = withoutFunctions(model);
  expect(found.inlined).toEqual(['layer', 'activation']);
  expect(found.left).toEqual([]);
  expect(found.model.functions).toEqual([]);
  expect(found.model.graph.node.map((n) => n.opType)).toEqual([
    'MatMul',
    'MatMul',
    'LeakyRelu',
    'MatMul',
    'MatMul',
    'LeakyRelu',
  ]);
  expect(found.model.graph.initializer.map((t) => t.name)).toEqual(['w1', 'w2', 'layer/inner']);
  expect(found.model.graph.output).toEqual(model.graph.output);
  checkGraph(found.model.graph);
  expect(await outputOf(found.model)).toEqual(await outputOf(model));
});

test('an attribute that a call leaves out takes its default', async () => {
  const model = modelWith([activation], [call('activation', ['x'], ['y'])]);
  const found = withoutFunctions(model);
  expect(found.model.graph.node[0].attribute[0].f).toBe(0.5);
  expect(await outputOf(found.model)).toEqual(await outputOf(model));
});

test('overloads of one name are told apart', async () => {
  const same = makeFunction('change', ['a'], ['b'], [makeNode('Identity', ['a'], ['b'])]);
  const negative = makeFunction('change', ['a'], ['b'], [makeNode('Neg', ['a'], ['b'])], { overload: 'negative' });
  const nodes = [{ ...call('change', ['x'], ['h']), overload: 'negative' }, call('change', ['h'], ['y'])];
  const { model } = withoutFunctions({ ...modelWith([same, negative], nodes), irVersion: 10 });
  expect(model.graph.node.map((n) => n.opType)).toEqual(['Neg', 'Identity']);
});

test('an omitted input, and an output that is an input, keep their places', async () => {
  const clip = makeFunction(
    'clipped',
    ['a', 'low', 'high'],
    ['b', 'a'],
    [makeNode('Clip', ['a', 'low', 'high'], ['b'])],
  );
  const model = modelWith([clip], [call('clipped', ['x', '', 'top'], ['h', 'k']), makeNode('Add', ['h', 'k'], ['y'])], {
    top: [],
  });
  const found = withoutFunctions(model);
  expect(found.model.graph.node.map((n) => [n.opType, ...n.input])).toEqual([
    ['Clip', 'x', '', 'top'],
    ['Identity', 'x'],
    ['Add', 'h', 'k'],
  ]);
});

test('names inside bodies of a function differ from call to call', async () => {
  const branch = (op: string) => ({
    graph: makeGraph({ node: [makeNode(op, ['a'], ['r'])], output: [makeValueInfo('r', 'float32')] }),
  });
  const choice = makeFunction(
    'choice',
    ['a'],
    ['b'],
    [
      makeNode('ReduceSum', ['a'], ['s'], { keepdims: 0 }),
      makeNode('Cast', ['s'], ['c'], { to: 9 }),
      makeNode('If', ['c'], ['b'], { then_branch: branch('Neg'), else_branch: branch('Abs') }),
    ],
  );
  const model = modelWith([choice], [call('choice', ['x'], ['h']), call('choice', ['h'], ['y'])]);
  const found = withoutFunctions(model);
  checkGraph(found.model.graph);
  expect(await outputOf(found.model)).toEqual(await outputOf(model));
});

test('what a function imports and the model does not is imported', () => {
  const gelu = makeFunction('soft', ['a'], ['b'], [makeNode('Gelu', ['a'], ['b'], {}, { domain: 'com.microsoft' })], {
    opsetImport: [{ domain: 'com.microsoft', version: 1 }],
  });
  const { model } = withoutFunctions(modelWith([gelu], [call('soft', ['x'], ['y'])]));
  expect(model.opsetImport).toContainEqual({ domain: 'com.microsoft', version: 1 });
});

test('a function of another opset is called as before, and so is what it calls', () => {
  const old = makeFunction('old', ['a'], ['b'], [makeNode('Neg', ['a'], ['t']), call('activation', ['t'], ['b'])], {
    opsetImport: [
      { domain: '', version: 13 },
      { domain: 'own', version: 1 },
    ],
  });
  const nodes = [call('activation', ['x'], ['h']), call('old', ['h'], ['y'])];
  const found = withoutFunctions(modelWith([activation, old], nodes));
  expect(found.model.graph.node.map((n) => n.opType)).toEqual(['LeakyRelu', 'old']);
  expect(found.model.functions.map((f) => f.name)).toEqual(['activation', 'old']);
  expect(found.left).toEqual([{ name: 'old', why: 'it is written in opset 13, the model in 17' }]);
});
