import { compress } from '../../src/compress.js';
import { formatPercent } from '../../src/report/format.js';
import type { Report } from '../../src/report/schema.js';
import type { Case } from '../cases.js';
import { accuracyOf, atLeast, pointsLost } from './bars.js';

const MODEL = 'models/hand-keypoint-mlp.onnx';
const DATA = 'data/hand-gestures/keypoint.csv';
const SEEDS = 5;

export const handKeypoint: Case = {
  name: 'hand-keypoint',
  title: `a small dense net that ends in an ArgMax, mean of ${SEEDS} seeds`,
  needs: [MODEL, DATA],
  async run(context) {
    const reports: Report[] = [];
    for (let i = 0; i < SEEDS; i++) {
      const report = await compress({
        input: context.shared(MODEL),
        output: context.out(`hand-keypoint-${i}.onnx`),
        data: context.shared(DATA),
        seed: context.seed + i,
        onEvent: context.onEvent,
      });
      reports.push(report);
      const { before, after, run } = report;
      const accuracies = (['before', 'after'] as const).map((when) => formatPercent(accuracyOf(report, when)));
      context.say(`seed ${run.seed}: ${before.params} → ${after.params} parameters, ${accuracies.join(' → ')}`);
    }
    const mean = (of: (report: Report) => number) => reports.reduce((sum, r) => sum + of(r), 0) / SEEDS;
    const bars = [
      atLeast(
        'parameters, times fewer, mean',
        4,
        mean((r) => r.before.params / r.after.params),
      ),
      pointsLost(
        0.5,
        mean((r) => accuracyOf(r, 'before')),
        mean((r) => accuracyOf(r, 'after')),
        `validation rows, mean of ${SEEDS} seeds`,
      ),
    ];
    return { bars, details: { reports } };
  },
};
