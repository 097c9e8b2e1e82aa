import { reduction } from './reduction.js';

export const ReduceSum = reduction({ op: 'ReduceSum', constants: 'zero', grad: (_, { dy }) => dy });
