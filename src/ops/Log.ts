import { unary } from './unary.js';

export const Log = unary({ op: 'Log', range: [0.2, 2], grad: (g, { x, dy }) => g.div(dy, x) });
