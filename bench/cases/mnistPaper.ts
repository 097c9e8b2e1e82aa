import { compare } from '../../src/compare.js';
import { compress } from '../../src/compress.js';
import { digits } from '../../src/report/format.js';
import type { Report } from '../../src/report/schema.js';
import type { Bar, Case, CaseContext, CaseResult } from '../cases.js';
import { accuracyOf, faster, fewer, holds, pointsLost, within } from './bars.js';

const DATA = 'data/mnist';
const MODEL = 'models/mnist-paper-net.onnx';

export const mnistPaper: Case = {
  name: 'mnist-paper',
  title: "the paper's net on MNIST, no option but --data",
  needs: [MODEL, DATA],
  run: (context) => compressPaperNet(context, context.shared(MODEL), context.out('mnist-paper.onnx')),
};

/** Compresses the paper's net with no option but the data, and holds it to what was promised. */
export async function compressPaperNet(context: CaseContext, input: string, output: string): Promise<CaseResult> {
  const { seed, engine, onEvent } = context;
  const data = context.shared(DATA);
  const report = await compress({ input, output, data, seed, engine, onEvent });
  const comparison = await compare({ a: input, b: output, data, seed, onEvent });
  const { before, after } = report;
  const bars = [
    pointsLost(0.3, accuracyOf(report, 'before'), accuracyOf(report, 'after'), 'the 10,000 test images'),
    fewer('parameters, times fewer', 250, before.params, after.params),
    fewer('bytes, times fewer', 200, before.bytes, after.bytes),
    fewer('MACs, times fewer', 7, before.macs, after.macs),
    faster(3, report),
    within('time', 12, report.run.seconds),
    agreement(report, comparison),
  ];
  return { bars, details: { report, comparison } };
}

function agreement({ before, after }: Report, { a, b, ratio }: Awaited<ReturnType<typeof compare>>): Bar {
  const differing = (['params', 'macs', 'bytes'] as const).filter((k) => a[k] !== before[k] || b[k] !== after[k]);
  const sameMetric = a.metric?.value === before.metric?.value && b.metric?.value === after.metric?.value;
  const unlike = [...differing, ...(sameMetric ? [] : ['accuracy'])];
  const figure =
    unlike.length > 0 ? `differs in ${unlike.join(', ')}` : `the same; ${digits(ratio.latency)}× the speed`;
  return holds('compare agrees with the report', 'the same params, MACs, bytes, accuracy', figure, unlike.length === 0);
}
