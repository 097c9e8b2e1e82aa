import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { regionChannels } from './regions.js';
import { defineOp, refused } from './spec.js';

/** The names that opset 20 gave to its modes, and those before. */
const modes: Readonly<Record<string, string>> = { linear: 'bilinear', cubic: 'bicubic' };

export const GridSample = defineOp({
  op: 'GridSample',
  since: 16,
  inputs: ['X', 'grid'],
  outputs: ['Y'],
  grad: refused('sampling at computed positions is not trained'),
  channels: regionChannels,
  normalise: (node, { opset }) => {
    if (opset < 20) return undefined;
    const attrs = new Attributes(node);
    const mode = attrs.string('mode', 'linear');
    const how = {
      mode: modes[mode] ?? mode,
      padding_mode: attrs.string('padding_mode', 'zeros'),
      align_corners: attrs.int('align_corners', 0),
    };
    return [makeNode('GridSample', node.input, node.output, how, { name: node.name })];
  },
  examples: [
    {
      title: 'linear',
      inputs: [
        [2, 3, 4, 4],
        [2, 3, 2, 2],
      ],
      opset: 16,
      parameters: [1],
    },
    {
      title: 'linear, computed grid, newer form',
      inputs: [
        [2, 3, 4, 4],
        [2, 3, 2, 2],
      ],
      opset: 20,
    },
  ],
});
