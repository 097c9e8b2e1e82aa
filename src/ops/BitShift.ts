import { comparison } from './comparison.js';
import { uint8 } from './examples.js';

export const BitShift = comparison('BitShift', {
  since: 11,
  examples: [
    {
      title: 'left',
      inputs: [uint8([2, 3], [1, 2, 3, 4, 5, 6]), uint8([3], [1, 2, 3])],
      attributes: { direction: 'LEFT' },
    },
    {
      title: 'right',
      inputs: [uint8([2, 3], [16, 32, 64, 4, 5, 6]), uint8([2, 1], [1, 2])],
      attributes: { direction: 'RIGHT' },
    },
  ],
});
