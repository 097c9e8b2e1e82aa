import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks', // onnxruntime-node needs typed arrays of the main realm
    include: ['test/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 120_000,
  },
});
