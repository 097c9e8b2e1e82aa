import { mnistConvNet } from '../../models/index.js';
import { trainFromScratch } from '../../models/trainFromScratch.js';
import { writeModel } from '../../src/onnx/write.js';
import { formatPercent } from '../../src/report/format.js';
import type { Case } from '../cases.js';
import { holds } from './bars.js';
import { compressPaperNet } from './mnistPaper.js';

/** Ten epochs of 600 steps. */
const STEPS = 6000;
const BAR = 0.991;

export const mnistScratch: Case = {
  name: 'mnist-scratch',
  title: "the paper's net built and trained here from scratch, then compressed with no option but --data",
  needs: ['data/mnist'],
  async run(context) {
    const { seed, onEvent } = context;
    const { file, accuracy } = await trainFromScratch(mnistConvNet({ seed, init: 'he' }), {
      data: context.shared('data/mnist'),
      steps: context.steps ?? STEPS,
      dropout: { ratio: 0.5, before: 'dense2.weight' },
      seed,
      onProgress: (p) => onEvent({ type: 'progress', phase: 'measure', ...p }),
    });
    context.say(`trained from scratch: ${formatPercent(accuracy)}`);
    const input = context.out('mnist-scratch.in.onnx');
    await writeModel(file.model, input);
    const { bars, details } = await compressPaperNet(context, input, context.out('mnist-scratch.onnx'));
    const trained = holds('accuracy from scratch', 'at least 99.1 %', formatPercent(accuracy), accuracy >= BAR);
    return { bars: [trained, ...bars], details };
  },
};
