import { comparison } from './comparison.js';

export const GreaterOrEqual = comparison('GreaterOrEqual', { since: 12 });
