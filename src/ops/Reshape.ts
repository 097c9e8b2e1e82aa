import { setAttribute } from '../onnx/attributes.js';
import { int64 } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { cutShape, matchFactors, regrouping } from './factors.js';
import { ints } from './knownInts.js';
import { pinAll } from './links.js';
import { type ChannelNode, type CutNode, defineOp } from './spec.js';

export const Reshape = defineOp({
  op: 'Reshape',
  inputs: ['data', 'shape'],
  outputs: ['reshaped'],
  grad: (g, { inputs: [x, ...rest] }, [dy]) => [() => g.reshape(dy!, x.shape), ...rest.map(() => null)],
  channels: (node) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    const target = targetOf(node);
    if (target === undefined) return pinAll(node, 'the target shape of Reshape is computed from data');
    if (target.filter((t) => t === 'rest').length > 1) {
      return pinAll(node, 'more than one size in the target shape of Reshape changes with free dimensions');
    }
    return { ...regrouping('Reshape', x!, y), patch: (cut) => patchTarget(cut, node, target) };
  },
  normalise: listBecomesInput('shape', 5),
  examples: [
    { title: 'features of a sample', inputs: [[2, 3, 4], int64([2], [2, 12])], parameters: [1] },
    { title: 'a copied and an inferred size', inputs: [[2, 6], int64([3], [0, 2, -1])], parameters: [1] },
    { title: 'groups of channels', inputs: [[2, 6, 4], int64([3], [2, 3, -1])], parameters: [1] },
    { title: 'size-1 axes come and go', inputs: [[2, 1, 3], int64([4], [2, 3, 1, 1])], parameters: [1] },
  ],
});

/** An entry of the target shape: a literal, `copy` of the input's size at the same axis, or the inferred `rest`. */
type Entry = number | 'copy' | 'rest';

/** @returns the target as it can be written for all sizes of free dimensions, or undefined where it is not known. */
function targetOf(node: ChannelNode): Entry[] | undefined {
  const [x, shape] = node.inputs;
  const known = shape?.known;
  const target = known ? ints(known.tensor) : node.attrs.ints('shape');
  if (target === undefined) return undefined;
  const zeroIsZero = node.attrs.int('allowzero', 0) === 1;
  const carried = matchFactors(x!.shape, node.outputs[0].shape).filter((f) => f.from.length === 1 && f.to.length === 1);
  return target.map((size, axis) => {
    if (size === -1) return 'rest';
    if (size === 0) return zeroIsZero ? 0 : 'copy';
    if (!known || known.stable === 'all' || known.stable[axis]) return size;
    return carried.some((f) => f.from[0] === axis && f.to[0] === axis) ? 'copy' : 'rest';
  });
}

/** Writes the new sizes of cut axes into the target, as a constant. */
function patchTarget(cut: CutNode, node: ChannelNode, target: readonly Entry[]): void {
  const before = cutShape(cut, node.inputs[0]!);
  const after = cutShape(cut, node.outputs[0]);
  const isCut = (axis: number) => after[axis] !== node.outputs[0].shape[axis];
  const literal = target.map((entry, axis) => {
    if (entry === 'rest') return -1;
    if (entry === 'copy') return before[axis] === after[axis] ? 0 : after[axis];
    return isCut(axis) ? after[axis] : entry;
  });
  const written = node.inputs[1]?.known ? ints(node.inputs[1].known.tensor) : node.attrs.ints('shape')!;
  if (!written.some((size, axis) => isCut(axis) && size !== literal[axis])) return;
  if (node.inputs[1]) {
    cut.setInput(1, int64([literal.length], literal));
    if (literal.includes(0)) cut.node.attribute = cut.node.attribute.filter((a) => a.name !== 'allowzero');
  } else setAttribute(cut.node, 'shape', literal);
}
