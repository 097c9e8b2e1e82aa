import { randomNumbers } from './randomNumbers.js';

export const Multinomial = randomNumbers('Multinomial', 7, ['input'], { inputs: [[2, 3]] });
