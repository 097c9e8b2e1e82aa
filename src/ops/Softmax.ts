import { softmaxChannels, softmaxExamples, softmaxForm } from './softmaxAxis.js';
import { defineOp } from './spec.js';

/** With y = softmax(x): dx = y·(dy − Σ dy·y), the sum over the normalised axis. */
export const Softmax = defineOp({
  op: 'Softmax',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { outputs: [y], attrs }, [dy]) => [
    () => {
      const weighted = g.mul(dy!, y);
      return g.sub(weighted, g.mul(y, g.reduceSum(weighted, [attrs.int('axis', -1)], true)));
    },
  ],
  channels: softmaxChannels,
  normalise: softmaxForm,
  examples: softmaxExamples,
});
