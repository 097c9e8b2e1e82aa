import { unary } from './unary.js';

export const Round = unary({ op: 'Round', since: 11, grad: 'it is piecewise constant' });
