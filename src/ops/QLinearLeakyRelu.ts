import { quantisedUnary } from './quantisedUnary.js';

/** Source: com.microsoft QLinearLeakyRelu 1. */
export const QLinearLeakyRelu = quantisedUnary('QLinearLeakyRelu');
