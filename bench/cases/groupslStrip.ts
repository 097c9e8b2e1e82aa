import { readModel } from '../../src/onnx/read.js';
import { readWeight, weightsOf, writeWeight } from '../../src/onnx/weights.js';
import { writeModel } from '../../src/onnx/write.js';
import { openSession } from '../../src/runtime/session.js';
import { strip } from '../../src/strip.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import type { Case } from '../cases.js';
import { atLeast, holds, shown } from './bars.js';

const MODEL = 'models/resnet56-cifar10-groupsl-regularized.onnx';
const SMALL = 1e-3;
const SAMPLES = 64;

export const groupslStrip: Case = {
  name: 'groupsl-strip',
  title: "strip of Torch-Pruning's regularized ResNet-56, its filters of norm below 1e-3 set to zero",
  needs: [MODEL],
  async run({ shared, out, seed, onEvent }) {
    const zeroed = out('groupsl-zeroed.onnx');
    const stripped = out('groupsl-stripped.onnx');
    const filters = await zeroSmallFilters(shared(MODEL), zeroed);
    const report = await strip({ input: zeroed, output: stripped, seed, onEvent });
    const gone = report.layers.reduce((sum, l) => sum + l.before - l.after, 0);
    const drift = await largestDifference(zeroed, stripped, seed);
    const bars = [
      shown('filters that were zeroed', `${filters}`),
      atLeast('units that went', 250, gone, ''),
      holds('outputs agree', `within 1e-4 on ${SAMPLES} drawn pictures`, drift.toExponential(2), drift <= 1e-4),
    ];
    return { bars, details: { report } };
  },
};

/** Sets the filters of all convolutions whose norm is small to zero. @returns how many there are */
async function zeroSmallFilters(input: string, output: string): Promise<number> {
  const file = readModel(input);
  let filters = 0;
  for (const weight of weightsOf(file.model.graph)) {
    if (weight.dims.length !== 4) continue;
    const data = Float32Array.from(readWeight(weight, file.folder).data as Float32Array);
    const each = sizeOf(weight.dims.slice(1));
    for (let from = 0; from < data.length; from += each) {
      const filter = data.subarray(from, from + each);
      if (Math.sqrt(filter.reduce((sum, x) => sum + x * x, 0)) >= SMALL) continue;
      filter.fill(0);
      filters++;
    }
    writeWeight(weight, float32(weight.dims, data));
  }
  await writeModel(file.model, output, { folder: file.folder });
  return filters;
}

async function largestDifference(a: string, b: string, seed: number): Promise<number> {
  const sessions = await Promise.all([a, b].map((path) => openSession(path)));
  try {
    const [{ name }] = sessions[0].inputs;
    const random = Random.stream(seed, 1);
    const data = Float32Array.from({ length: SAMPLES * 3 * 32 * 32 }, () => random.normal());
    const feeds: Record<string, Tensor> = { [name]: float32([SAMPLES, 3, 32, 32], data) };
    const [x, y] = await Promise.all(sessions.map(async (s) => Object.values(await s.run(feeds))[0]));
    const expected = x.data as Float32Array;
    const got = y.data as Float32Array;
    return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i])), 0);
  } finally {
    for (const session of sessions) await session.close();
  }
}
