import { expect, test } from 'vitest';
import { mlp } from '../../models/index.js';
import { makeValueInfo } from '../../src/onnx/make.js';
import { analyse } from '../../src/shape/analyse.js';

test('a model that was changed in memory is analysed as it is, not as its path has it', async () => {
  const model = mlp({ inputs: 4, hidden: [3], outputs: 2 });
  const graph = { ...model.graph, input: [makeValueInfo('input', 'float32', [1, 4])] };
  const file = { path: '/nowhere/net.onnx', folder: '/nowhere', bytes: new Uint8Array(), model: { ...model, graph } };
  expect((await analyse(file)).batch.kind).toBe('rebatched');
});
