import { unary } from './unary.js';

export const Neg = unary({ op: 'Neg', grad: (g, { dy }) => g.neg(dy) });
