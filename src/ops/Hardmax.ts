import { defineOp, refused } from './spec.js';
import { softmaxChannels, softmaxForm } from './softmaxAxis.js';

export const Hardmax = defineOp({
  op: 'Hardmax',
  inputs: ['input'],
  outputs: ['output'],
  grad: refused('it is piecewise constant'),
  channels: softmaxChannels,
  normalise: softmaxForm,
  examples: [
    { title: 'over the last axis', inputs: [[2, 3, 4]] },
    { title: 'over channels', inputs: [[2, 3, 4]], attributes: { axis: 1 } },
    { title: 'over all but the first axis, old form', inputs: [[2, 3, 4]], opset: 11 },
  ],
});
