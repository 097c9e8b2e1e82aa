import { reduction } from './reduction.js';

export const ReduceSum = reduction({ op: 'ReduceSum', constants: 'zero', zeros: 'nothing', grad: (_, { dy }) => dy });
