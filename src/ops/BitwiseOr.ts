import { bitExamples, comparison } from './comparison.js';

export const BitwiseOr = comparison('BitwiseOr', { since: 18, examples: bitExamples });
