import { bool } from '../tensor/tensor.js';
import { comparison } from './comparison.js';

export const And = comparison('And', {
  examples: [{ title: 'broadcast', inputs: [bool([2, 1], [true, false]), bool([2], [true, false])] }],
});
