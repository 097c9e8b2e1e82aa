import { mnistConvNet } from '../../models/index.js';
import { trainFromScratch } from '../../models/trainFromScratch.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { readWeight, weightsOf } from '../../src/onnx/weights.js';
import { writeModel } from '../../src/onnx/write.js';
import { formatPercent } from '../../src/report/format.js';
import type { Case } from '../cases.js';
import { holds, shown } from './bars.js';

/**
 * The recipe of the reference code, and what it gave on the same data.
 * **Source**: github.com/jaehong31/CGES, main.py, utils.py, mnist_model.py and run.sh. Its `mu` 0.8 and `chvar` 0.2 are
 * the paper's m = 0.2 over four layers; the factors are its constants for this network.
 */
const recipe = {
  steps: 30_000,
  batch: 100,
  rate: { peak: 0.05, every: 5000, factor: 0.9 },
  lambda: 6e-5,
  m: 0.2,
  dropout: 0.5,
  /** Samples that its data reader keeps for validation, at the start. */
  skip: 5000,
  layers: [
    { parameter: 'conv1.weight', groupFactor: 1, exclusiveFactor: 1 },
    { parameter: 'conv2.weight', groupFactor: 1, exclusiveFactor: 0.5 },
    { parameter: 'dense1.weight', groupFactor: 1 / 15, exclusiveFactor: 15 },
    { parameter: 'dense2.weight', groupFactor: 1 / 144, exclusiveFactor: 144 },
  ],
} as const;

const theirs = {
  accuracy: 0.9885,
  used: 0.1785,
  zeros: { 'conv1.weight': 0.2, 'conv2.weight': 0.191, 'dense1.weight': 0.834, 'dense2.weight': 0.037 },
} as const;

export const reference: Case = {
  name: 'reference',
  title: "CGES with the groups and the recipe of the paper's code, the paper's net on MNIST from scratch",
  needs: ['data/mnist'],
  async run({ shared, out, seed, onEvent, steps }) {
    const { rate, batch, skip, lambda, m } = recipe;
    const { file, accuracy } = await trainFromScratch(mnistConvNet({ seed }), {
      data: shared('data/mnist'),
      steps: steps ?? recipe.steps,
      batch,
      skip,
      rate,
      optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
      dropout: { ratio: recipe.dropout, before: 'dense2.weight' },
      sparsity: {
        regularizer: 'cges',
        m,
        lambda,
        // Conv [out, in, h, w] and Gemm with transB [out, in]: groups run along the first axis.
        layers: recipe.layers.map((layer) => ({ ...layer, outAxis: 0 })),
      },
      seed,
      onProgress: (p) => onEvent({ type: 'progress', phase: 'sparsify', ...p }),
    });
    await writeModel(file.model, out('reference.onnx'));
    const { used, zeros } = zerosOf(file);
    const points = (a: number, b: number) => Math.abs(a - b) * 100;
    const bars = [
      holds(
        'test accuracy',
        `within 0.3 points of ${formatPercent(theirs.accuracy)}`,
        formatPercent(accuracy),
        points(accuracy, theirs.accuracy) <= 0.3,
      ),
      holds(
        'using param, the share of weights that are not zero',
        `within 4 points of ${formatPercent(theirs.used)}`,
        formatPercent(used),
        points(used, theirs.used) <= 4,
      ),
      ...Object.entries(theirs.zeros).map(([name, share]) =>
        shown(`zeros of ${name}`, `${formatPercent(zeros[name])}, the reference ${formatPercent(share)}`),
      ),
    ];
    return { bars, details: { accuracy, used, zeros, theirs, recipe } };
  },
};

/** Exact zeros among the weights; biases do not count. */
function zerosOf(file: OnnxFile): { used: number; zeros: Record<string, number> } {
  const zeros: Record<string, number> = {};
  let all = 0;
  let zero = 0;
  for (const weight of weightsOf(file.model.graph)) {
    if (weight.dims.length < 2) continue;
    const data = readWeight(weight, file.folder).data as Float32Array;
    const none = data.reduce((n, x) => n + (x === 0 ? 1 : 0), 0);
    zeros[weight.name] = none / data.length;
    all += data.length;
    zero += none;
  }
  return { used: 1 - zero / all, zeros };
}
