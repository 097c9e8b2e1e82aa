import { DequantizeLinear } from './DequantizeLinear.js';
import { defineOp } from './spec.js';

/**
 * y = (x − zero point) · scale, with one scale, or one per index of `axis`.
 *
 * Source: com.microsoft DequantizeLinear 1.
 */
export const MicrosoftDequantizeLinear = defineOp({ ...DequantizeLinear, domain: 'com.microsoft', since: 1 });
