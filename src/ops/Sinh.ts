import { unary } from './unary.js';

export const Sinh = unary({ op: 'Sinh', since: 9, grad: (g, { x, dy }) => g.mul(dy, g.unary('Cosh', x)) });
