import { randomNumbers } from './randomNumbers.js';

export const RandomNormalLike = randomNumbers('RandomNormalLike', 7, ['input'], { inputs: [[2, 3]] });
