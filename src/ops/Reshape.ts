import { setAttribute } from '../onnx/attributes.js';
import { int64 } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { regrouping } from './factors.js';
import { intsOf } from './knownInts.js';
import { pinAll } from './links.js';
import { cutShape, resizeInts } from './sizes.js';
import { type ChannelNode, type CutNode, defineOp } from './spec.js';

export const Reshape = defineOp({
  op: 'Reshape',
  inputs: ['data', 'shape'],
  outputs: ['reshaped'],
  grad: (g, { inputs: [x, ...rest] }, [dy]) => [() => g.reshape(dy!, x.shape), ...rest.map(() => null)],
  channels: (node) => {
    const target = intsOf(node, 1, 'shape');
    if (target === undefined) return pinAll(node, 'the target shape of Reshape is computed from data');
    const relation = regrouping('Reshape', node.inputs[0]!, node.outputs[0]);
    return { ...relation, patch: (cut) => patchTarget(cut, node, target) };
  },
  normalise: listBecomesInput('shape', 5),
  examples: [
    { title: 'features of a sample', inputs: [[2, 3, 4], int64([2], [2, 12])], parameters: [1] },
    { title: 'a copied and an inferred size', inputs: [[2, 6], int64([3], [0, 2, -1])], parameters: [1] },
    { title: 'groups of channels', inputs: [[2, 6, 4], int64([3], [2, 3, -1])], parameters: [1] },
    { title: 'channels in front of merged positions', inputs: [[2, 3, 4, 2], int64([3], [0, 0, -1])], parameters: [1] },
    { title: 'blocks of another size', inputs: [[12, 5], int64([3], [4, 3, 5])], parameters: [1] },
    { title: 'size-1 axes come and go', inputs: [[2, 1, 3], int64([4], [2, 3, 1, 1])], parameters: [1] },
  ],
});

/** Makes the target name the new sizes of cut axes; -1, and 0 where the input's axis is cut likewise, say them already. */
function patchTarget(cut: CutNode, { inputs, outputs: [y], attrs }: ChannelNode, target: readonly number[]): void {
  const before = cutShape(cut, inputs[0]!);
  const after = cutShape(cut, y);
  const delta = target.map((size, axis) => {
    if (size === -1 || (size === 0 && before[axis] === after[axis])) return 0;
    return after[axis] - (size === 0 ? 0 : y.shape[axis]);
  });
  if (inputs[1]) resizeInts(cut, 1, delta);
  else if (attrs.has('shape'))
    setAttribute(
      cut.node,
      'shape',
      target.map((size, axis) => size + delta[axis]),
    );
}
