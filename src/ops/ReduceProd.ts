import { reduction } from './reduction.js';
import { refused } from './spec.js';

export const ReduceProd = {
  ...reduction({ op: 'ReduceProd', constants: 'zero', grad: (_, { dy }) => dy }),
  grad: refused('its usual form y/x breaks at zeros'),
};
