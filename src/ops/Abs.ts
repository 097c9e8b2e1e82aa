import { unary } from './unary.js';

export const Abs = unary({ op: 'Abs', grad: (g, { x, dy }) => g.where(g.less(x, 0), g.neg(dy), dy) });
