import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { encodeModel } from '../../src/onnx/write.js';
import { inferenceProvider, requireProvider } from '../../src/runtime/providers.js';
import { blamed, loadsOn, openSession } from '../../src/runtime/session.js';
import type { DType, Tensor } from '../../src/tensor/tensor.js';
import { errorOf, smallModel, testFolder } from '../onnx/shared.js';

function oneNode(op: string, dtype: DType, shape: readonly (number | string)[] = ['N']): ModelProto {
  const graph = makeGraph({
    node: [makeNode(op, ['x'], ['y'], {}, { name: 'only' })],
    input: [makeValueInfo('x', dtype, shape)],
    output: [makeValueInfo('y', dtype, shape)],
  });
  return makeModel(graph, 18);
}

test('a session tells the types and free axes of inputs and outputs', async () => {
  const session = await openSession(smallModel());
  expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 32] }]);
  expect(session.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: ['N', 16] }]);
  expect(session.provider).toBe('cpu');
  await session.close();
});

test.each<Tensor>([
  { dtype: 'float32', dims: [2], data: Float32Array.of(1.5, -0) },
  { dtype: 'float64', dims: [2], data: Float64Array.of(Math.PI, 0) },
  { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xc000) },
  { dtype: 'int64', dims: [2], data: BigInt64Array.of(2n ** 62n, -1n) },
  { dtype: 'int32', dims: [2], data: Int32Array.of(-5, 7) },
  { dtype: 'uint8', dims: [2], data: Uint8Array.of(0, 255) },
  { dtype: 'bool', dims: [2], data: Uint8Array.of(1, 0) },
  { dtype: 'string', dims: [2], data: ['a', 'ü'] },
])('a $dtype tensor comes back as it went in', async (tensor) => {
  const session = await openSession(oneNode('Identity', tensor.dtype));
  const { y } = await session.run({ x: tensor });
  expect(y).toEqual(tensor);
  await session.close();
});

test('a model loads from bytes and from a file alike, and only what is asked for is fetched', async () => {
  const bytes = encodeModel(smallModel());
  const path = join(testFolder(), 'small.onnx');
  writeFileSync(path, bytes);
  const x: Tensor = { dtype: 'float32', dims: [1, 32], data: new Float32Array(32).fill(1) };
  const [a, b] = await Promise.all([openSession(bytes), openSession(path, { threads: { intraOp: 1 } })]);
  expect((await a.run({ x })).y.data).toEqual((await b.run({ x }, ['y'])).y.data);
  await Promise.all([a.close(), b.close()]);
});

test('a half-precision model whose casts onnxruntime mixes up without optimisations is loaded with basic ones', async () => {
  const graph = makeGraph({
    node: [
      makeNode('Div', ['x', 'x'], ['d']),
      makeNode('Cast', ['d'], ['c'], { to: 10 }, { name: 'c' }),
      makeNode('Sqrt', ['c'], ['y']),
    ],
    input: [makeValueInfo('x', 'float16', [1])],
    output: [makeValueInfo('y', 'float16', [1])],
  });
  const session = await openSession(makeModel(graph, 17), { optimisation: 'disabled' });
  const { y } = await session.run({ x: { dtype: 'float16', dims: [1], data: Uint16Array.of(0x4000) } });
  expect(y.data).toEqual(Uint16Array.of(0x3c00));
  await session.close();
});

test('a model that onnxruntime refuses is named with the node at fault', async () => {
  const unknown = await errorOf(() => openSession(oneNode('NoSuchOperator', 'float32'), { file: 'm.onnx' }));
  expect(unknown).toMatchObject({ code: 'MODEL_UNRUNNABLE', exitCode: 3 });
  expect(unknown.place).toMatchObject({ file: 'm.onnx' });
  expect(unknown.cause).toBeInstanceOf(Error);

  const session = await openSession(smallModel());
  const misfit: Tensor = { dtype: 'float32', dims: [1, 31], data: new Float32Array(31) };
  expect(await errorOf(() => session.run({ x: misfit }))).toMatchObject({ code: 'MODEL_UNRUNNABLE' });
  await session.close();
});

test("onnxruntime's messages are read for the node that they blame", () => {
  expect(blamed("Non-zero status code returned while running Reshape node. Name:'r1' Status Message: no")).toEqual({
    op: 'Reshape',
    node: 'r1',
  });
  expect(blamed('Node (conv_3) Op (Conv) [ShapeInferenceError] wrong')).toEqual({ op: 'Conv', node: 'conv_3' });
  expect(blamed('This is an invalid model. In Node, ("c", Conv, "", -1) : bad')).toEqual({ op: 'Conv', node: 'c' });
  expect(blamed('something else')).toEqual({});
});

test('a provider that is not there is refused with exit code 9, and auto judges models on the cpu', async () => {
  const missing = process.platform === 'win32' ? 'coreml' : 'dml';
  const error = await errorOf(() => requireProvider(missing, loadsOn));
  expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', exitCode: 9 });
  expect(error.hint).toContain('--provider cpu');
  expect(await errorOf(() => openSession(smallModel(), { provider: missing }))).toMatchObject({ exitCode: 9 });
  expect(await errorOf(() => inferenceProvider(missing, loadsOn))).toMatchObject({ exitCode: 9 });
  expect(await inferenceProvider('auto', loadsOn)).toBe('cpu');
});
