import { softmaxChannels, softmaxExamples, softmaxForm } from './softmaxAxis.js';
import { defineOp } from './spec.js';

/** With y = log softmax(x): dx = dy − softmax(x) · Σ dy, the sum over the normalised axis. */
export const LogSoftmax = defineOp({
  op: 'LogSoftmax',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { outputs: [y], attrs }, [dy]) => [
    () => g.sub(dy!, g.mul(g.exp(y), g.reduceSum(dy!, [attrs.int('axis', -1)], true))),
  ],
  channels: softmaxChannels,
  normalise: softmaxForm,
  examples: softmaxExamples,
});
