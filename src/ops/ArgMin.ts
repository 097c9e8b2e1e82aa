import { arg } from './arg.js';

export const ArgMin = arg('ArgMin');
