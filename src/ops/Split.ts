import { setAttribute } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { int64 } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { front } from './knownInts.js';
import { type ChannelNode, type CutNode, defineOp, type Link } from './spec.js';

export const Split = defineOp({
  op: 'Split',
  inputs: ['input', 'split?'],
  outputs: ['outputs...'],
  grad: (g, { inputs: [x, ...rest], outputs, attrs }, dys) => {
    const zeros = (y: (typeof outputs)[number]) => g.expand(g.scalar(0, y.dtype), y.shape);
    const axis = front(attrs.int('axis', 0), x.shape.length);
    return [
      () =>
        g.concat(
          outputs.map((y, i) => dys[i] ?? zeros(y)),
          axis,
        ),
      ...rest.map(() => null),
    ];
  },
  channels: (node) => {
    const [x] = node.inputs;
    const split = front(node.attrs.int('axis', 0), x!.shape.length);
    let offset = 0;
    const links = node.outputs.flatMap((y) => {
      const begin = offset;
      offset += y.shape[split];
      return x!.shape.map((_, axis): Link => {
        const ends = { from: { value: x!, axis }, to: { value: y, axis } };
        if (axis !== split) return { ...ends, constants: 'same' };
        return { ...ends, map: Int32Array.from({ length: y.shape[axis] }, (_, i) => begin + i), constants: 'same' };
      });
    });
    return { links, patch: (cut) => patchSizes(cut, node, split) };
  },
  /** Opset 18 wants the number of parts where no sizes are given. */
  normalise: (node, context) => {
    if (context.opset < 13 && node.attribute.some((a) => a.name === 'split'))
      return listBecomesInput('split', 13)(node, context);
    if (context.opset >= 18 || node.input[1]) return undefined;
    const rewritten = makeNode(
      'Split',
      node.input,
      node.output,
      { num_outputs: node.output.length },
      { name: node.name },
    );
    return [{ ...rewritten, attribute: [...node.attribute, ...rewritten.attribute] }];
  },
  examples: [
    {
      title: 'given sizes',
      inputs: [[2, 5, 2], int64([2], [2, 3])],
      parameters: [1],
      attributes: { axis: 1 },
      outputs: 2,
    },
    { title: 'equal parts', inputs: [[2, 6]], attributes: { axis: -1, num_outputs: 3 }, outputs: 3, opset: 18 },
    { title: 'an uneven last part', inputs: [[2, 5]], attributes: { axis: 1, num_outputs: 2 }, outputs: 2, opset: 18 },
    { title: 'equal parts by outputs', inputs: [[4, 3]], outputs: 2, opset: 13 },
    { title: 'sizes as attribute', inputs: [[2, 5]], attributes: { axis: 1, split: [4, 1] }, outputs: 2, opset: 11 },
    { title: 'equal parts, old form', inputs: [[4, 3]], outputs: 2, opset: 7 },
  ],
});

/** Writes the counts of the parts; parts that stay equal need no sizes where there were none. */
function patchSizes(cut: CutNode, { inputs, outputs }: ChannelNode, axis: number): void {
  if (outputs.every((y) => cut.kept({ value: y, axis }) === undefined)) return;
  const sizes = outputs.map((y) => cut.kept({ value: y, axis })?.length ?? y.shape[axis]);
  const given = inputs[1] !== undefined || cut.node.attribute.some((a) => a.name === 'split');
  if (!given && new Set(sizes).size === 1) return;
  cut.node.attribute = cut.node.attribute.filter((a) => a.name !== 'num_outputs');
  if (cut.opset >= 13) cut.setInput(1, int64([sizes.length], sizes));
  else setAttribute(cut.node, 'split', sizes);
}
