import { unary } from './unary.js';

export const Sin = unary({ op: 'Sin', grad: (g, { x, dy }) => g.mul(dy, g.unary('Cos', x)) });
