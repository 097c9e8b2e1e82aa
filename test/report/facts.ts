import type { ModelFacts, Report } from '../../src/report/schema.js';

/** Facts of a model as a test needs them. */
export function facts(more: Partial<ModelFacts> = {}): ModelFacts {
  return {
    params: 3_274_634,
    macs: 13_883_904,
    bytes: 13_098_536,
    latencyMs: { p50: 1.234, p95: 1.9 },
    metric: { name: 'accuracy', value: 0.9921, on: 'test', samples: 10_000 },
    drift: null,
    ...more,
  };
}

export function report(more: Partial<Report> = {}): Report {
  const small = { params: 11_683, macs: 1_876_000, bytes: 48_732, latencyMs: { p50: 0.25, p95: 0.31 } };
  const drift = {
    against: 'before strip',
    samples: 256,
    maxAbsolute: 3.1e-6,
    maxRelative: 2e-7,
    agreement: 1,
    differing: 0,
    unexplained: 0,
  } as const;
  return {
    schemaVersion: 1,
    command: 'compress',
    run: { engine: 'onnxruntime', provider: 'cpu', threads: 2, seed: 0, seconds: 301.4, outcome: 'completed' },
    input: { path: 'net.onnx', bytes: 13_098_536, sha256: 'a'.repeat(64) },
    output: { path: 'small.onnx', bytes: 48_732, sha256: 'b'.repeat(64) },
    data: {
      path: 'mnist',
      format: 'idx',
      trainSamples: 54_000,
      valSamples: 6_000,
      testSamples: 10_000,
      targets: 'data',
      classes: 10,
    },
    preprocessing: { scale: 1 / 255, mean: [0], std: [1], layout: 'nchw' },
    options: {},
    before: facts(),
    afterStrip: facts({ ...small, metric: { name: 'accuracy', value: 0.9752, on: 'test', samples: 10_000 }, drift }),
    after: facts({
      ...small,
      metric: { name: 'accuracy', value: 0.9897, on: 'test', samples: 10_000 },
      drift: { ...drift, against: 'input', maxAbsolute: 21.5, agreement: 0.9903 },
    }),
    layers: [
      { family: 'conv1', before: 32, after: 8 },
      { family: 'conv2', before: 64, after: 8 },
      { family: 'dense1', before: 1024, after: 11 },
      { family: 'dense2', before: 10, after: 10 },
    ],
    choices: [],
    warnings: [],
    ...more,
  };
}
