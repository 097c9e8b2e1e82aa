import { randomNumbers } from './randomNumbers.js';

export const RandomUniformLike = randomNumbers('RandomUniformLike', 7, ['input'], { inputs: [[2, 3]] });
