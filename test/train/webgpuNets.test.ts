import { describe, it } from 'vitest';
import { cases, follows } from './nets.js';
import { webgpuReason } from './webgpu.js';

const why = await webgpuReason();

describe.skipIf(why)(`training on webgpu${why ? ` (skipped: ${why})` : ''}`, () => {
  it.each(cases)('$title learns as on the cpu', { timeout: 600_000 }, async ({ small, ...net }) => {
    await follows({ ...net, ...small }, { provider: 'webgpu' });
  });
});
