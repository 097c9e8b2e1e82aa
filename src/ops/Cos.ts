import { unary } from './unary.js';

export const Cos = unary({ op: 'Cos', grad: (g, { x, dy }) => g.neg(g.mul(dy, g.unary('Sin', x))) });
