import { unary } from './unary.js';

export const Identity = unary({ op: 'Identity', grad: (_, { dy }) => dy });
