import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type OnnxFile, readModel } from '../../src/onnx/read.js';
import { setTensor, tensorOf } from '../../src/onnx/tensors.js';
import { channelsOf, strip } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { zeroUnits } from '../../src/prune/zero.js';
import { analyse } from '../../src/shape/analyse.js';
import { Random } from '../../src/tensor/random.js';
import { fileOf } from './net.js';

const folder = fileURLToPath(new URL('../../../shared/models/', import.meta.url));
const there = existsSync(folder);
if (!there) process.stdout.write(`tests of real models skipped: no ${folder}\n`);

/** @returns the file with a random share of its units set to zero, and how many these are. */
async function withDeadUnits(file: OnnxFile, share: number): Promise<{ zeroed: OnnxFile; dead: number }> {
  const channels = channelsOf(await analyse(file));
  const { families } = unitsOf(channels);
  const random = new Random(5);
  const chosen = new Set(families.flatMap((f) => [...f.units].filter(() => random.uniform() < share)));
  return { zeroed: fileOf(zeroUnits(channels, families, (f, i) => chosen.has(f.units[i]))), dead: chosen.size };
}

describe.skipIf(!there)('real models', () => {
  test.each([
    ['mnist-paper-net', 3],
    ['mnist-cntk', 2],
    ['resnet20-cifar10', 12],
    ['mini-xception-fer2013', 10],
    ['ppocr-mobile-v2-cls', 20],
    ['ultraface-rfb-320', 20],
    ['hand-keypoint-mlp', 2],
  ])('%s loses every unit that is set to zero, and computes the same', async (name, families) => {
    const file = readModel(`${folder}${name}.onnx`);
    const { zeroed, dead } = await withDeadUnits(file, 0.3);
    const result = await strip(zeroed, await analyse(zeroed));
    expect(result.families.length).toBeGreaterThanOrEqual(families);
    expect(result.unitsBefore - result.unitsAfter).toBe(dead);
    expect(result.drift.maxRelative).toBeLessThan(1e-5);
  });

  test('resnet56 after group-sparse training loses at least 250 units to its 315 dead filters', async () => {
    const file = readModel(`${folder}resnet56-cifar10-groupsl-regularized.onnx`);
    let filters = 0;
    const initializer = file.model.graph.initializer.map((proto) => {
      if (proto.dims.length !== 4) return proto;
      const weight = tensorOf(proto);
      const data = (weight.data as Float32Array).slice();
      const size = data.length / weight.dims[0];
      for (let at = 0; at < data.length; at += size) {
        const filter = data.subarray(at, at + size);
        if (Math.hypot(...filter) >= 1e-3) continue;
        filter.fill(0);
        filters++;
      }
      const copy = { ...proto };
      setTensor(copy, { ...weight, data });
      return copy;
    });
    const zeroed = fileOf({ ...file.model, graph: { ...file.model.graph, initializer } });
    const result = await strip(zeroed, await analyse(zeroed));
    expect(filters).toBe(315);
    expect(result.unitsBefore - result.unitsAfter).toBeGreaterThanOrEqual(250);
    expect(result.drift.maxAbsolute).toBeLessThan(1e-4);
  });
});
