import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { packedHeads, packedMacs } from './packedAttention.js';
import { inputZeroOf, orPinned, perChannel, weightZeroOf, wholeNumbers } from './quantised.js';
import { axisOf, pinAll } from './links.js';
import { defineOp } from './spec.js';

/**
 * com.microsoft Attention with a quantised input and weight.
 *
 * Source: com.microsoft QAttention 1.
 */
export const QAttention = defineOp({
  op: 'QAttention',
  domain: 'com.microsoft',
  inputs: [
    'input',
    'weight',
    'bias',
    'input_scale',
    'weight_scale',
    'mask_index?',
    'input_zero_point?',
    'weight_zero_point?',
    'past?',
  ],
  outputs: ['output', 'present?'],
  trains: [1, 2],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [input, weight, bias, inputScale, weightScale, mask, inputZero, weightZero, past] = node.inputs;
    if (!weight!.known) return pinAll(node, 'the weights of this attention are computed');
    const runtime = inputZero !== undefined && !inputZero.known;
    const aside = [mask, inputScale, inputZero].filter((x) => x !== undefined);
    const columns = axisOf(weight!, 1);
    const relation = packedHeads(node, {
      input: input!,
      weight: weight!,
      bias,
      past,
      aside,
      more: {
        inputZero: runtime ? 'runtime' : inputZeroOf(inputZero),
        weightZero: weightZeroOf(weightZero, weight!, 1),
      },
    });
    const scales = perChannel([weightScale, weightZero], columns).map((link) => ({
      ...link,
      constants: 'any' as const,
    }));
    return { ...relation, links: [...(relation.links ?? []), ...scales] };
  }),
  macs: ({ inputs: [input, weight], outputs: [y] }) => packedMacs({ input: input!, weight: weight!, y }),
  examples: [
    {
      title: 'two heads',
      inputs: [
        quantised('uint8', [2, 3, 5]),
        quantised('int8', [5, 24]),
        [24],
        float32([1], [0.02]),
        float32([1], [0.01]),
        null,
        { ...zeroPoint('uint8', 120), dims: [1] },
        { ...zeroPoint('int8', 0), dims: [1] },
      ],
      parameters: [1, 2, 3, 4, 6, 7],
      attributes: { num_heads: 2 },
    },
  ],
});
