import { QuantizeLinear } from './QuantizeLinear.js';
import { defineOp } from './spec.js';

/**
 * y = saturate(round(x / scale) + zero point), with one scale, or one per index of `axis`.
 *
 * Source: com.microsoft QuantizeLinear 1.
 */
export const MicrosoftQuantizeLinear = defineOp({ ...QuantizeLinear, domain: 'com.microsoft', since: 1 });
