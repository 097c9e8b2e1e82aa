import { Attributes, setAttribute } from '../onnx/attributes.js';
import { float32 } from '../tensor/tensor.js';
import { Formula, spelledOut } from './formula.js';
import { axisOf, pinAll } from './links.js';
import { type ChannelNode, type ChannelRelation, defineOp, type Link } from './spec.js';

/**
 * Every group of channels is normalised by its own mean and deviation; in opset 18 scale and bias are per group, from 21
 * on per channel. The training graph reshapes groups into the channels of an InstanceNormalization.
 *
 * All channels of a group enter its statistics: groups are removed whole.
 */
export const GroupNormalization = defineOp({
  op: 'GroupNormalization',
  since: 18,
  inputs: ['X', 'scale', 'bias'],
  outputs: ['Y'],
  trains: [1, 2],
  grad: spelledOut,
  channels: (node) => {
    const [, scale, bias] = node.inputs;
    return scale!.known && bias!.known ? wholeGroups(node) : pinAll(node, 'scale or bias of this norm is computed');
  },
  normalise: (node, context) => {
    const [x, scale, bias] = node.input;
    const shape = context.shape(x);
    const channels = context.shape(scale)?.[0];
    if (!shape || channels === undefined) return undefined;
    const attrs = new Attributes(node);
    const groups = attrs.int('num_groups', 1);
    const f = new Formula(node, context);
    const epsilon = { float: attrs.float('epsilon', 1e-5) };
    const grouped = f.apply('Reshape', [x, f.ints([shape[0], groups, -1])]);
    const perGroup = context.opset < 21;
    const vector = (fill: number): string => context.constant(float32([groups], new Float32Array(groups).fill(fill)));
    const given = perGroup ? [scale, bias] : [vector(1), vector(0)];
    const normal = f.apply('InstanceNormalization', [grouped, ...given], { epsilon });
    if (perGroup) return f.last('Reshape', [normal, f.ints(shape)]);
    const aligned = (name: string): string =>
      f.apply('Reshape', [name, f.ints([channels, ...shape.slice(2).map(() => 1)])]);
    const scaled = f.apply('Mul', [f.apply('Reshape', [normal, f.ints(shape)]), aligned(scale)]);
    return f.last('Add', [scaled, aligned(bias)]);
  },
  examples: [
    {
      title: 'scale per channel',
      inputs: [[2, 6, 3, 2], [6], [6]],
      parameters: [1, 2],
      attributes: { num_groups: 3 },
      opset: 21,
    },
    {
      title: 'one group, 1-D',
      inputs: [[2, 4, 3], [4], [4]],
      parameters: [1, 2],
      attributes: { num_groups: 1, epsilon: { float: 0.01 } },
      opset: 21,
    },
    {
      title: 'scale per group',
      inputs: [[2, 6, 3, 2], [3], [3]],
      parameters: [1, 2],
      attributes: { num_groups: 3 },
      opset: 18,
    },
  ],
});

function wholeGroups({ inputs, outputs: [y], attrs }: ChannelNode): ChannelRelation {
  const [x, scale, bias] = inputs.map((v) => v!);
  const groups = attrs.int('num_groups', 1);
  const size = y.shape[1] / groups;
  const to = axisOf(y, 1);
  const groupOf = (j: number): number => Math.floor(j / size);
  // Every channel of a group reaches all of its group.
  const within = Array.from({ length: size }, (_, k): Link => ({
    from: axisOf(x, 1),
    to,
    map: Int32Array.from({ length: y.shape[1] }, (_, j) => groupOf(j) * size + k),
    constants: 'never',
  }));
  const perGroup = scale.shape[0] === groups && groups !== y.shape[1];
  const map = Int32Array.from({ length: y.shape[1] }, (_, j) => (perGroup ? groupOf(j) : j));
  const parameters = [scale, bias].map((value): Link => ({ from: axisOf(value, 0), to, map, constants: 'same' }));
  return {
    links: [{ from: axisOf(x, 0), to: axisOf(y, 0), constants: 'never' }, ...within, ...parameters],
    ...(!perGroup && { gains: [{ from: axisOf(scale, 0), to }] }),
    patch: (cut) => {
      const kept = cut.kept(to);
      if (kept) setAttribute(cut.node, 'num_groups', kept.length / size);
    },
  };
}
