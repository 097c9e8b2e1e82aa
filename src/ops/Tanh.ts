import { unary } from './unary.js';

export const Tanh = unary({ op: 'Tanh', grad: (g, { y, dy }) => g.mul(dy, g.sub(g.scalar(1, y.dtype), g.mul(y, y))) });
