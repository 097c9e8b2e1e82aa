import { comparison } from './comparison.js';

export const LessOrEqual = comparison('LessOrEqual', { since: 12 });
