import { openJob } from '../../src/compress/job.js';
import { prove } from '../../src/compress/prove.js';
import { compressInRounds } from '../../src/compress/rounds.js';
import { emulatedHalf, type Engine } from '../../src/onnx/engine.js';
import { digits, formatPercent, formatSeconds } from '../../src/report/format.js';
import type { Report } from '../../src/report/schema.js';
import type { TrainingRun } from '../../src/train/engine.js';
import type { Case, CaseContext } from '../cases.js';
import { accuracyOf, holds, shown } from './bars.js';

const DATA = 'data/mnist';
const MODEL = 'models/mnist-paper-net.onnx';
/** With sparsity, and of recovery. */
const EPOCHS = 1;
const RECOVER_EPOCHS = 2;
/** A given λ: a steered one goes its own way in each run, and what they cut could not be compared. */
const LAMBDA = 2e-4;
/** Points of accuracy that half precision may be off. */
const BAR = 0.3;

/** A run of the whole job, and what its loss scale did. */
interface Ran {
  readonly report: Report;
  readonly steps: number;
  readonly skipped: number;
}

export const mnistPrecision: Case = {
  name: 'mnist-precision',
  title:
    "the paper's net on MNIST, a short job in float32 and the same with the products of its steps rounded to float16",
  needs: [MODEL, DATA],
  async run(context) {
    const full = await job(context, 'fp32');
    const half = await job(context, 'fp16', emulatedHalf);
    const [a, b] = [full, half].map(({ report }) => accuracyOf(report, 'after'));
    const off = (b - a) * 100;
    const bars = [
      holds(
        'accuracy with half precision against float32',
        `at most ${BAR} points off`,
        `${off.toFixed(2)} points (${formatPercent(a)}, ${formatPercent(b)})`,
        Math.abs(off) <= BAR,
      ),
      ...Object.entries({ float32: full, 'half precision': half }).map(([name, ran]) => shown(name, figuresOf(ran))),
    ];
    return { bars, details: { full, half } };
  },
};

/** Runs a job whose steps are compiled for a given engine: there is no option for an emulated precision. */
async function job(context: CaseContext, name: string, target?: Engine): Promise<Ran> {
  const { seed, onEvent } = context;
  const opened = await openJob({
    input: context.shared(MODEL),
    output: context.out(`mnist-precision.${name}.onnx`),
    data: context.shared(DATA),
    epochs: EPOCHS,
    lambda: LAMBDA,
    recoverEpochs: RECOVER_EPOCHS,
    seed,
    onEvent,
  });
  const counts = { steps: 0, skipped: 0 };
  const network = { ...opened.network, target, onRun: (run: TrainingRun) => counted(run, counts) };
  try {
    const { rounds, outcome } = await compressInRounds({ ...opened, network });
    return { report: await prove(opened, rounds, outcome), ...counts };
  } finally {
    await opened.close();
  }
}

function counted(run: TrainingRun, counts: { steps: number; skipped: number }): void {
  const inner = run.run.bind(run);
  run.run = async (feeds) => {
    const metrics = await inner(feeds);
    counts.steps += metrics.loss.length;
    counts.skipped += metrics.skipped?.reduce((sum, s) => sum + s, 0) ?? 0;
    return metrics;
  };
}

function figuresOf({ report, steps, skipped }: Ran): string {
  const { before, afterStrip, after, run } = report;
  return [
    `${formatPercent(accuracyOf(report, 'before'))} → ${formatPercent(accuracyOf(report, 'afterStrip'))} stripped`,
    `→ ${formatPercent(accuracyOf(report, 'after'))},`,
    `${digits(before.params / afterStrip.params)}× fewer parameters, ${digits(before.macs / after.macs)}× fewer MACs;`,
    `${skipped} of ${steps} steps skipped; ${formatSeconds(run.seconds)}`,
  ].join(' ');
}
