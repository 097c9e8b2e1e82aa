import { describe, it } from 'vitest';
import { cases, follows } from './nets.js';
import { tfjsReason } from './tfjs.js';

const why = tfjsReason();

describe.skipIf(why)(`training with TensorFlow.js${why ? ` (skipped: ${why})` : ''}`, () => {
  it.each(cases)('$title learns as with onnxruntime', { timeout: 120_000 }, async (net) => {
    await follows(net, { engine: 'tfjs', provider: 'cpu' });
  });
});
