import { unary } from './unary.js';

export const Exp = unary({ op: 'Exp', grad: (g, { y, dy }) => g.mul(dy, y) });
