import { unary } from './unary.js';

export const Sqrt = unary({ op: 'Sqrt', range: [0.2, 2], grad: (g, { y, dy }) => g.div(g.mul(dy, 0.5), y) });
