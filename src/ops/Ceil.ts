import { unary } from './unary.js';

export const Ceil = unary({ op: 'Ceil', grad: 'it is piecewise constant' });
