import { unary } from './unary.js';

/** dy/dx = 1/(1 + x²). */
export const Atan = unary({ op: 'Atan', grad: (g, { x, dy }) => g.div(dy, g.add(g.mul(x, x), 1)) });
