import { compress } from '../../src/compress.js';
import type { Case } from '../cases.js';
import { accuracyOf, fewer, pointsLost } from './bars.js';

const MODEL = 'models/mnist-cntk.onnx';
const DATA = 'data/mnist';

export const mnistCntk: Case = {
  name: 'mnist-cntk',
  title: 'opset 8, a literal batch of 1, pixels 0 … 255; no option but --data',
  needs: [MODEL, DATA],
  async run({ shared, out, seed, onEvent }) {
    const input = shared(MODEL);
    const report = await compress({ input, output: out('mnist-cntk.onnx'), data: shared(DATA), seed, onEvent });
    const bars = [
      fewer('MACs, times fewer', 2, report.before.macs, report.after.macs),
      pointsLost(0.5, accuracyOf(report, 'before'), accuracyOf(report, 'after'), 'the 10,000 test images'),
    ];
    return { bars, details: { report } };
  },
};
