import { unary } from './unary.js';

export const Softplus = unary({ op: 'Softplus', grad: (g, { x, dy }) => g.mul(dy, g.sigmoid(x)) });
