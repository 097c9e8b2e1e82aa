import { quantisedBinary } from './quantisedBinary.js';

/**
 * C = A · B of quantised numbers; where either rests at its zero point, so does C.
 *
 * Source: com.microsoft QLinearMul 1.
 */
export const QLinearMul = quantisedBinary('QLinearMul', 'product');
