import { arg } from './arg.js';

export const ArgMax = arg('ArgMax');
