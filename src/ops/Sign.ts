import { unary } from './unary.js';

export const Sign = unary({ op: 'Sign', since: 9, grad: 'it is piecewise constant' });
