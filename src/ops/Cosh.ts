import { unary } from './unary.js';

export const Cosh = unary({ op: 'Cosh', since: 9, grad: (g, { x, dy }) => g.mul(dy, g.unary('Sinh', x)) });
