import { quantisedUnary } from './quantisedUnary.js';

/** Source: com.microsoft QLinearSigmoid 1. */
export const QLinearSigmoid = quantisedUnary('QLinearSigmoid');
