import { broadcasting } from './broadcast.js';
import { type ChannelRule, type Example, type OpSpec, refused } from './spec.js';

/** What an elementwise operator of onnxruntime leaves open that the training graph spells out in standard operators. */
export interface Spelt extends Pick<OpSpec, 'op' | 'inputs' | 'trains'> {
  readonly form: NonNullable<OpSpec['normalise']>;
  readonly channels?: ChannelRule;
  readonly examples: readonly Example[];
}

/** @returns the spec of such an operator, with the gradient of what it is spelt in. */
export function spelt({ form, channels = (node) => broadcasting(node), ...rest }: Spelt): OpSpec {
  return {
    ...rest,
    domain: 'com.microsoft',
    outputs: ['Y'],
    grad: refused('it has the gradient of the standard operators that it is spelt in'),
    normalise: form,
    channels,
  };
}
