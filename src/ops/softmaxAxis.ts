import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { int64 } from '../tensor/tensor.js';
import type { ChannelRule, Example, OpSpec } from './spec.js';

/**
 * Before opset 13, Softmax and LogSoftmax saw their input as a matrix: all axes from `axis` (default 1) on are one.
 * Where that is more than one axis, the matrix is made with Flatten.
 */
export const softmaxForm: NonNullable<OpSpec['normalise']> = (node, context) => {
  if (context.opset >= 13) return undefined;
  const [x] = node.input;
  const shape = context.shape(x);
  const given = new Attributes(node).int('axis', 1);
  const axis = given < 0 && shape ? given + shape.length : given;
  const more = { name: node.name };
  if (shape?.slice(axis + 1).every((d) => d === 1)) return [makeNode(node.opType, [x], node.output, { axis }, more)];
  const [matrix, answer] = [context.fresh(`${node.output[0]}/matrix`), context.fresh(`${node.output[0]}/rows`)];
  const target = shape ? context.constant(int64([shape.length], shape)) : context.fresh(`${x}/shape`);
  return [
    makeNode('Flatten', [x], [matrix], { axis }),
    makeNode(node.opType, [matrix], [answer], { axis: -1 }, more),
    ...(shape ? [] : [makeNode('Shape', [x], [target])]),
    makeNode('Reshape', [answer, target], node.output),
  ];
};

/** Every output along the normalised axes depends on all inputs there; what it makes of a constant depends on their number. */
export const softmaxChannels: ChannelRule = ({ op, opset, attrs, inputs: [x], outputs: [y] }) => {
  const rank = x!.shape.length;
  const given = attrs.int('axis', opset < 13 ? 1 : -1);
  const axis = given < 0 ? given + rank : given;
  const normalised = (i: number) => (opset < 13 ? i >= axis : i === axis);
  const axes = x!.shape.map((_, i) => i);
  return {
    links: axes
      .filter((i) => !normalised(i))
      .map((i) => ({ from: { value: x!, axis: i }, to: { value: y, axis: i }, constants: 'never' })),
    pins: axes
      .filter(normalised)
      .flatMap((i) => [x!, y].map((value) => ({ at: { value, axis: i }, why: `${op} normalises over this axis` }))),
  };
};

export const softmaxExamples: Example[] = [
  { title: 'over the last axis', inputs: [[2, 3, 4]] },
  { title: 'over channels', inputs: [[2, 3, 4]], attributes: { axis: 1 } },
  { title: 'over a negative axis', inputs: [[2, 3, 4]], attributes: { axis: -2 } },
  { title: 'over a matrix, old form', inputs: [[2, 3]], opset: 11 },
  { title: 'over all but the first axis, old form', inputs: [[2, 3, 4]], opset: 9 },
  { title: 'over the last axis, old form', inputs: [[2, 3, 4]], attributes: { axis: 2 }, opset: 7 },
  { title: 'over a negative axis, old form', inputs: [[2, 3, 4]], attributes: { axis: -2 }, opset: 11 },
];
