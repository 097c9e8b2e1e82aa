import type { OnnxFile } from '../onnx/read.js';
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
const MOST_ROUNDS = 5;
/** Accuracy that further rounds may cost (0 … 1), besides half the standard error of what it is measured on. */
const TOLERATED = 0.002;
/** Growth of other losses that further rounds may cost. */
const TOLERATED_LOSS = 0.02;
/** A round that removes less than this share of the units ends the search. */
const WORTH_A_ROUND = 0.03;

/**
 * Repeats the method on its own result for as long as the validation samples show no loss against the input model. The
 * first round counts in any case: a model that has seen the validation samples when it was trained looks better on them
 * than anything that has not. With a given number of epochs there is one round.
 */
export async function compressInRounds(job: Job): Promise<{ rounds: Round[]; outcome: RunFacts['outcome'] }> {
  const { options } = job;
  const most = options.epochs === undefined && options.recoverEpochs === undefined ? MOST_ROUNDS : 1;
  const floor = await lowestScore(job);
  const rounds: Round[] = [];
  let file: OnnxFile = job.file;
  let took = 0;
  for (let n = 1; n <= most; n++) {
    const started = performance.now();
    const round = await runRound(job, file, n);
    took = Math.max(took, performance.now() - started);
    const ending = endingOf(round);
    const accepted = n === 1 || round.recovered.score >= floor;
    if (accepted) rounds.push(round);
    if (!accepted)
      job.tell({ type: 'warning', message: `round ${n} lost too much on the validation samples and was taken back` });
    if (ending !== 'completed') return { rounds, outcome: ending };
    const { unitsBefore, unitsAfter } = extentOf(round);
    if (!accepted || round.recovered.score < floor || unitsAfter > unitsBefore * (1 - WORTH_A_ROUND)) break;
    const end = job.deadlines.recover;
    if (end !== undefined && performance.now() + took > end) break;
    file = round.recovered.file;
  }
  return { rounds, outcome: 'completed' };
}

async function runRound(job: Job, file: OnnxFile, n: number): Promise<Round> {
  const { recipe, options } = job;
  const again = n > 1 ? `round ${n}: ` : '';
  const regularizer = options.regularizer ?? 'cges';
  job.tell({
    type: 'phase',
    phase: 'sparsify',
    message: `${again}fine-tuning with ${regularizer} sparsity, ${recipe.sparsify.epochs} epochs`,
  });
  const sparse = await sparsify(job, file);
  job.tell({
    type: 'phase',
    phase: 'recover',
    message: `${again}fine-tuning what is left, ${recipe.recover.epochs} epochs`,
  });
  return { sparse, recovered: await recover(job, sparse.file) };
}

/** @returns the score below which a further round is taken back. */
async function lowestScore(job: Job): Promise<number> {
  const base = await score(job, job.file);
  if (base < 0) return base * (1 + TOLERATED_LOSS);
  const error = Math.sqrt((base * (1 - base)) / job.samples.val.indices.length);
  return base - TOLERATED - error / 2;
}

function extentOf({ sparse }: Round): { unitsBefore: number; unitsAfter: number } {
  const results = sparse.removals.map((r) => r.result);
  return { unitsBefore: results[0].unitsBefore, unitsAfter: results[results.length - 1].unitsAfter };
}

function endingOf({ sparse, recovered }: Round): RunFacts['outcome'] {
  const outcomes = [sparse.outcome, recovered.outcome];
  if (outcomes.includes('aborted')) return 'interrupted';
  return outcomes.includes('out of time') ? 'time budget' : 'completed';
}
