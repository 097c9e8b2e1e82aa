import { bitExamples, comparison } from './comparison.js';

export const BitwiseXor = comparison('BitwiseXor', { since: 18, examples: bitExamples });
