import { unary } from './unary.js';

export const Relu = unary({ op: 'Relu', grad: (g, { y, dy }) => g.where(g.greater(y, 0), dy, 0) });
