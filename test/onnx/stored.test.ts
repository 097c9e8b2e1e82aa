import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import { readModel } from '../../src/onnx/read.js';
import { hashOf, isStored, storedAt } from '../../src/onnx/stored.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { encodeModel } from '../../src/onnx/write.js';
import { strip } from '../../src/prune/strip.js';
import { analyse } from '../../src/shape/analyse.js';
import { float32 } from '../../src/tensor/tensor.js';

/* A file of more than 32 MB, whose weights begin at any byte. */

const [ins, outs] = [3001, 3000];
let folder: string;
let path: string;
let bytes: Uint8Array;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stored-'));
  path = join(folder, 'large.onnx');
  const wide = Float32Array.from({ length: ins * outs }, (_, i) =>
    i % outs < 1000 ? 0 : ((i * 7919) % 1013) / 1013 - 0.5,
  );
  const initializer = ['a', 'bb', 'ccc'].map((name) => makeTensor(name, float32([5], [1, 2, 3, 4, name.length])));
  initializer.push(makeTensor('wide', float32([ins, outs], wide)));
  initializer.push(
    makeTensor(
      'last',
      float32(
        [outs, 5],
        Float32Array.from({ length: outs * 5 }, (_, i) => (i % 11) / 11),
      ),
    ),
  );
  const graph = makeGraph({
    node: [
      makeNode('MatMul', ['x', 'wide'], ['h']),
      makeNode('MatMul', ['h', 'last'], ['y0']),
      makeNode('Add', ['y0', 'a'], ['y1']),
      makeNode('Add', ['y1', 'bb'], ['y2']),
      makeNode('Add', ['y2', 'ccc'], ['y']),
    ],
    initializer,
    input: [makeValueInfo('x', 'float32', ['N', ins])],
    output: [makeValueInfo('y', 'float32', ['N', 5])],
  });
  bytes = encodeModel(makeModel(graph, 13));
  await writeFile(path, bytes);
});

afterAll(() => rm(folder, { recursive: true }));

test('one copy of a large file is held, with its weights where numbers may begin', async () => {
  const { bytes: held, model } = readModel(path);
  expect([held.length, storedAt(model)]).toEqual([0, { path, bytes: bytes.length }]);
  for (const proto of model.graph.initializer)
    if (proto.rawData!.length >= 128) expect(proto.rawData!.byteOffset % 4).toBe(0);
  const found = model.graph.initializer.map((proto) => tensorOf(proto));
  expect(found.map((t) => (t.data as Float32Array).at(-1))).toEqual([1, 2, 3, expect.any(Number), expect.any(Number)]);
  expect(Buffer.compare(encodeModel(model), bytes)).toBe(0);
  expect(hashOf({ bytes: held, model }).digest('hex')).toBe(
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  );
});

test('a model that was cut from it is stored nowhere', async () => {
  const file = readModel(path);
  const { model, unitsBefore, unitsAfter } = await strip(file, await analyse(file));
  expect([unitsBefore, unitsAfter]).toEqual([outs, outs - 1000]);
  expect([isStored(file), isStored({ bytes: new Uint8Array(), model })]).toEqual([true, false]);
});
