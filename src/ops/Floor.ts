import { unary } from './unary.js';

export const Floor = unary({ op: 'Floor', grad: 'it is piecewise constant' });
