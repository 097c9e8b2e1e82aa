import { quantisedBinary } from './quantisedBinary.js';

/**
 * C = A + B of quantised numbers.
 *
 * Source: com.microsoft QLinearAdd 1.
 */
export const QLinearAdd = quantisedBinary('QLinearAdd', 'all');
