import { bitExamples, comparison } from './comparison.js';

export const BitwiseAnd = comparison('BitwiseAnd', { since: 18, examples: bitExamples });
