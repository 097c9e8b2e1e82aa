import { expect, test } from 'vitest';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { cpuEngine, type Engine, standardEngine } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import { addSlices } from '../../src/ops/addSlices.js';
import { openSession } from '../../src/runtime/session.js';
import { float32, int64, sizeOf } from '../../src/tensor/tensor.js';

async function sums(engine: Engine, shape: readonly number[], coordinates: readonly number[][], runs: number) {
  const [n, k] = [coordinates.length, coordinates[0].length];
  const g = new GraphBuilder(engine);
  const dims = [n, ...shape.slice(k)];
  for (const name of ['at', 'updates']) g.reserve(name);
  const y = addSlices(
    g,
    shape,
    { name: 'at', dtype: 'int64', shape: [n, k] },
    { name: 'updates', dtype: 'float32', shape: dims },
  );
  const graph = makeGraph({
    node: g.nodes,
    initializer: g.initializers,
    input: [makeValueInfo('at', 'int64', [n, k]), makeValueInfo('updates', 'float32', dims)],
    output: [makeValueInfo(y.name, 'float32', shape)],
  });
  // Whole numbers are added without rounding, in whatever order.
  const updates = float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => (i % 7) - 2),
  );
  const session = await openSession(makeModel(graph, 18), { threads: { intraOp: 2 } });
  const found: Float32Array[] = [];
  for (let i = 0; i < runs; i++) {
    const results = await session.run({ at: int64([n, k], coordinates.flat()), updates });
    found.push(results[y.name].data as Float32Array);
  }
  await session.close();
  return { found, updates: updates.data as Float32Array };
}

test('no update is lost where many threads add to the same places', async () => {
  const [rows, width, n] = [4, 16, 60_000];
  const at = Array.from({ length: n }, (_, i) => [(i * 31) % rows]);
  const { found, updates } = await sums(cpuEngine, [rows, width], at, 60);
  const expected = new Float32Array(rows * width);
  at.forEach(([row], i) => {
    for (let c = 0; c < width; c++) expected[row * width + c] += updates[i * width + c];
  });
  for (const y of found) expect(y).toEqual(expected);
});

test.each([
  ['cpu', cpuEngine],
  ['any', standardEngine],
])('coordinates on several axes, from the end as well (%s)', async (_, engine) => {
  const { found } = await sums(
    engine,
    [2, 3, 2],
    [
      [0, 1],
      [-1, -3],
      [1, 0],
    ],
    1,
  );
  // Updates are [-2, -1], [0, 1], [2, 3].
  expect(Array.from(found[0])).toEqual([0, 0, -2, -1, 0, 0, 2, 4, 0, 0, 0, 0]);
});
