import { randomNumbers } from './randomNumbers.js';

export const RandomUniform = randomNumbers('RandomUniform', 7, [], { inputs: [], attributes: { shape: [2, 3] } });
