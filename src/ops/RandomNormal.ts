import { randomNumbers } from './randomNumbers.js';

export const RandomNormal = randomNumbers('RandomNormal', 7, [], { inputs: [], attributes: { shape: [2, 3] } });
