import type { OnnxFile } from '../onnx/read.js';
import type { MetricEvent } from '../report/events.js';
import type { RunFacts } from '../report/schema.js';
import type { Job } from './job.js';
import { type Recovered, recover, score } from './recover.js';
import { type Sparsified, sparsify } from './sparsify.js';

/** One pass of the method: made sparse, stripped, recovered. */
export interface Round {
  readonly sparse: Sparsified;
  readonly recovered: Recovered;
}

/** Rounds that are tried when the number of epochs is left open. */
const MOST_ROUNDS = 8;
/** Accuracy that further rounds may cost (0 … 1), besides half the standard error of what it is measured on. */
const TOLERATED = 0.002;
/** Growth of other losses that further rounds may cost. */
const TOLERATED_LOSS = 0.02;
/** A round that removes less than this share of the units ends the search. */
const WORTH_A_ROUND = 0.03;

/**
 * Repeats the method on its own result for as long as the validation samples show no loss. The first round, a careful
 * one, counts in any case, and where it scores less than the input model it is what further rounds are held against: a
 * model that has seen the validation samples when it was trained looks better on them than anything that has not. With a
 * given number of epochs there is one round.
 */
export async function compressInRounds(job: Job): Promise<{ rounds: Round[]; outcome: RunFacts['outcome'] }> {
  const { options } = job;
  const most = options.epochs === undefined && options.recoverEpochs === undefined ? MOST_ROUNDS : 1;
  const rounds = roundsDone(job);
  const base = await score(job, job.file);
  job.tell(metricOf(job, 'measure', base));
  let file: OnnxFile = rounds.at(-1)?.recovered.file ?? job.file;
  let took = 0;
  for (let n = rounds.length + 1; n <= most; n++) {
    const started = performance.now();
    const round = await runRound(job, file, rounds);
    took = Math.max(took, performance.now() - started);
    job.tell(metricOf(job, 'recover', round.recovered.score));
    const ending = endingOf(round);
    const reference = Math.min(base, (rounds[0] ?? round).recovered.score);
    const accepted = n === 1 || round.recovered.score >= lowestScore(job, reference);
    if (accepted) rounds.push(round);
    if (!accepted)
      job.tell({ type: 'warning', message: `round ${n} lost too much on the validation samples and was taken back` });
    if (ending !== 'completed') return { rounds, outcome: ending };
    const { unitsBefore, unitsAfter } = extentOf(round);
    if (!accepted || unitsAfter > unitsBefore * (1 - WORTH_A_ROUND)) break;
    const end = job.deadlines.recover;
    if (end !== undefined && performance.now() + took > end) break;
    file = round.recovered.file;
  }
  return { rounds, outcome: 'completed' };
}

async function runRound(job: Job, file: OnnxFile, earlier: readonly Round[]): Promise<Round> {
  const { recipe, options } = job;
  const again = earlier.length > 0 ? `round ${earlier.length + 1}: ` : '';
  const left = job.keeper?.from;
  let sparse: Sparsified;
  if (left?.position.phase === 'recover' && left.position.round === earlier.length + 1) {
    sparse = {
      file: left.models.current!,
      outcome: 'completed',
      cuts: left.position.cuts,
      steering: left.position.steering,
    };
  } else {
    const message = `${again}fine-tuning with ${options.regularizer ?? 'cges'} sparsity, ${recipe.sparsify.epochs} epochs`;
    job.tell({ type: 'phase', phase: 'sparsify', message });
    sparse = await sparsify(job, file, earlier);
  }
  const message = `${again}fine-tuning what is left, ${recipe.recover.epochs} epochs`;
  job.tell({ type: 'phase', phase: 'recover', message });
  return { sparse, recovered: await recover(job, sparse, earlier) };
}

/** The rounds that a checkpoint holds as done: of all but the last only what they cut. */
function roundsDone({ keeper }: Job): Round[] {
  const left = keeper?.from;
  if (!left) return [];
  const { done, scores } = left.position;
  return done.map((cuts, n) => ({
    sparse: { file: left.models.sparse!, outcome: 'completed', cuts, steering: left.position.steering },
    recovered: { file: left.models.done!, score: (n === 0 ? scores.first : scores.done) ?? 0, outcome: 'completed' },
  }));
}

/** @returns a score as the user reads it. */
function metricOf(job: Job, phase: 'measure' | 'recover', value: number): MetricEvent {
  const { loss, indices } = job.samples.val;
  const facts = { type: 'metric', phase, on: 'val', samples: indices.length } as const;
  return value < 0 ? { ...facts, name: loss, value: -value } : { ...facts, name: 'accuracy', value };
}

/** @returns the score below which a further round is taken back. */
function lowestScore(job: Job, reference: number): number {
  if (reference < 0) return reference * (1 + TOLERATED_LOSS);
  const error = Math.sqrt((reference * (1 - reference)) / job.samples.val.indices.length);
  return reference - TOLERATED - error / 2;
}

function extentOf({ sparse }: Round): { unitsBefore: number; unitsAfter: number } {
  const { cuts } = sparse;
  return { unitsBefore: cuts[0].unitsBefore, unitsAfter: cuts[cuts.length - 1].unitsAfter };
}

function endingOf({ sparse, recovered }: Round): RunFacts['outcome'] {
  const outcomes = [sparse.outcome, recovered.outcome];
  if (outcomes.includes('aborted')) return 'interrupted';
  return outcomes.includes('out of time') ? 'time budget' : 'completed';
}
