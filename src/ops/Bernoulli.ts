import { randomNumbers } from './randomNumbers.js';

export const Bernoulli = randomNumbers('Bernoulli', 15, ['input'], { inputs: [[2, 3]], range: [0, 1] });
