import { unary } from './unary.js';

/** dy/dx = 1 + y². */
export const Tan = unary({ op: 'Tan', grad: (g, { y, dy }) => g.mul(dy, g.add(g.mul(y, y), 1)) });
