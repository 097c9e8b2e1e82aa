import { expect, it } from 'vitest';
import { mnistConvNet } from '../../models/mnistConvNet.js';
import { decodeModel } from '../../src/onnx/read.js';
import { readWeight, weightsOf, writeWeight } from '../../src/onnx/weights.js';
import { encodeModel } from '../../src/onnx/write.js';
import { strip } from '../../src/prune/strip.js';
import { openSession } from '../../src/runtime/session.js';
import { analyse } from '../../src/shape/analyse.js';
import { Random } from '../../src/tensor/random.js';
import { float32 } from '../../src/tensor/tensor.js';
import { measureDrift } from '../../src/validate/drift.js';
import { meaningOf } from '../../src/validate/outputs.js';

it('predicts the same before and after a strip, but where the margin is within ten times the drift', async () => {
  const file = decodeModel(encodeModel(mnistConvNet({ init: 'he', widths: [8, 12, 32], seed: 4 })));
  const random = new Random(9);
  // Weights of a third of the filters and rows are zeroed, biases are not: constants other than zero have to be carried.
  for (const weight of weightsOf(file.model.graph)) {
    const tensor = readWeight(weight);
    const data = (tensor.data as Float32Array).slice();
    const rows = weight.dims[0];
    if (weight.dims.length === 1) data.forEach((_, i) => (data[i] = 0.05 * random.normal()));
    else if (rows !== 10)
      for (let r = 0; r < rows; r += 3) data.fill(0, (r * data.length) / rows, ((r + 1) * data.length) / rows);
    writeWeight(weight, { ...tensor, data });
  }
  const zeroed = decodeModel(encodeModel(file.model));
  const { model, unitsBefore, unitsAfter } = await strip(zeroed, await analyse(zeroed));
  expect(unitsAfter).toBeLessThan(unitsBefore);

  const [before, after] = [await openSession(zeroed.model), await openSession(model)];
  const name = before.inputs[0].name;
  const batches = Array.from({ length: 8 }, () => ({
    [name]: float32(
      [64, 1, 28, 28],
      Float32Array.from({ length: 64 * 784 }, () => random.uniform()),
    ),
  }));
  const drift = await measureDrift(before, after, batches, {
    against: 'before strip',
    output: meaningOf(zeroed.model),
  });
  expect(drift.samples).toBe(512);
  expect(drift.maxRelative).toBeLessThan(1e-5);
  expect(drift.unexplained).toBe(0);
  await before.close();
  await after.close();
});
