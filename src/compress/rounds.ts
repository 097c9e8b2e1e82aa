import type { OnnxFile } from '../onnx/read.js';
import type { MetricEvent } from '../report/events.js';
import type { RunFacts } from '../report/schema.js';
import { analyse } from '../shape/analyse.js';
import type { TrainOutcome } from '../train/trainer.js';
import { macsOf } from '../validate/macs.js';
import type { Job } from './job.js';
import { type Recovered, recover, score } from './recover.js';
import { type Sparsified, sparsify, sparsifyEpochs } from './sparsify.js';

/** One pass of the method: made sparse, stripped, recovered. */
export interface Round {
  readonly sparse: Sparsified;
  readonly recovered: Recovered;
}

/** Rounds that are tried when the number of epochs is left open. */
const MOST_ROUNDS = 8;
/** Accuracy that further rounds may cost (0 … 1), besides half the standard error of what it is measured on. */
const TOLERATED = 0.0015;
/** Growth of other losses that further rounds may cost. */
const TOLERATED_LOSS = 0.02;
/** Share of the recovery after which a round is judged; the one that is kept gets all of it in the end. */
const TRIAL = 0.5;
/**
 * A further round may lose this factor more than the last that counts while it is made sparse: the first of these, and
 * after one that lost too much the next. The same loss again removes more too: what has recovered has it to spend anew.
 */
const BOLDER = [4, 2, 1, 0.5] as const;
/** Where there is one round only it has to do what several would. */
const ALONE = 2;
/** A round that removes less than this share of the units ends the search. */
const WORTH_A_ROUND = 0.03;

/**
 * Repeats the method on its own result for as long as the validation samples show no loss. The first round, a careful
 * one, counts in any case, and where it scores less than the input model it is what further rounds are held against: a
 * model that has seen the validation samples when it was trained looks better on them than anything that has not. Rounds
 * are judged half recovered, the last one that counts is recovered in full. With a given number of epochs there is one
 * round.
 */
export async function compressInRounds(job: Job): Promise<{ rounds: Round[]; outcome: RunFacts['outcome'] }> {
  const { options } = job;
  const most = options.epochs === undefined && options.recoverEpochs === undefined ? MOST_ROUNDS : 1;
  const rounds = roundsDone(job);
  const outcome = job.keeper?.from?.position.phase === 'finish' ? 'completed' : await search(job, rounds, most);
  if (most === 1 || outcome !== 'completed') return { rounds, outcome };
  const last = rounds[rounds.length - 1];
  const epochs = await finishEpochs(job, last.recovered.file);
  job.tell({ type: 'phase', phase: 'recover', message: `fine-tuning the result, ${epochs} epochs` });
  const { cuts, steering } = last.sparse;
  const { file } = last.recovered;
  const recovered = await recover(job, { phase: 'finish', epochs, file, cuts, steering, boldness: 1, earlier: rounds });
  job.tell(metricOf(job, 'recover', recovered.score));
  rounds[rounds.length - 1] = { ...last, recovered };
  return { rounds, outcome: nameOf([recovered.outcome]) };
}

/** Adds rounds for as long as they count. */
async function search(job: Job, rounds: Round[], most: number): Promise<RunFacts['outcome']> {
  const base = await score(job, job.file);
  job.tell(metricOf(job, 'measure', base));
  const left = job.keeper?.from?.position;
  let boldness = left?.boldness ?? (most === 1 ? ALONE : 1);
  let step = left?.boldness && left.done.length > 0 ? left.boldness / boldnessOf(rounds) : BOLDER[0];
  let took = 0;
  while (rounds.length < most) {
    const started = performance.now();
    const round = await runRound(job, rounds, boldness, most);
    took = Math.max(took, performance.now() - started);
    job.tell(metricOf(job, 'recover', round.recovered.score));
    const outcome = nameOf([round.sparse.outcome, round.recovered.outcome]);
    const reference = Math.min(base, (rounds[0] ?? round).recovered.score);
    const accepted = rounds.length === 0 || round.recovered.score >= lowestScore(job, reference);
    if (accepted) rounds.push(round);
    else {
      const message = `round ${rounds.length + 1} lost too much on the validation samples and was taken back`;
      job.tell({ type: 'warning', message });
    }
    if (outcome !== 'completed') return outcome;
    const { unitsBefore, unitsAfter } = extentOf(round);
    if (accepted) {
      if (unitsAfter > unitsBefore * (1 - WORTH_A_ROUND)) break;
    } else {
      // A λ that was given does not listen.
      const smaller = round.sparse.steering && BOLDER.find((s) => s < step * (1 - 1e-9));
      if (smaller === undefined) break;
      step = smaller;
    }
    const end = job.deadlines.recover;
    if (end !== undefined && performance.now() + took > end) break;
    boldness = boldnessOf(rounds) * step;
  }
  return 'completed';
}

/** @returns epochs of the last recovery: up to twice as many as the smaller network makes them cheaper. */
async function finishEpochs({ analysis, recipe }: Job, file: OnnxFile): Promise<number> {
  const left = macsOf(await analyse(file, analysis.options)) / Math.max(1, macsOf(analysis));
  return Math.round(recipe.recover.epochs * (2 - Math.min(1, left)));
}

function boldnessOf(rounds: readonly Round[]): number {
  return rounds.at(-1)?.sparse.steering?.boldness ?? 1;
}

async function runRound(job: Job, earlier: readonly Round[], boldness: number, most: number): Promise<Round> {
  const n = earlier.length + 1;
  const again = n > 1 ? `round ${n}: ` : '';
  const left = job.keeper?.from;
  let sparse: Sparsified;
  if (left?.position.phase === 'recover' && left.position.round === n && left.position.boldness === boldness) {
    const { cuts, steering } = left.position;
    sparse = { file: left.models.current!, outcome: 'completed', cuts, steering };
  } else {
    const epochs = sparsifyEpochs(job, n);
    const message = `${again}fine-tuning with ${job.options.regularizer ?? 'cges'} sparsity, ${epochs} epochs`;
    job.tell({ type: 'phase', phase: 'sparsify', message });
    sparse = await sparsify(job, earlier.at(-1)?.recovered.file ?? job.file, earlier, boldness);
  }
  const { epochs: full } = job.recipe.recover;
  const epochs = most > 1 ? Math.ceil(full * TRIAL) : full;
  job.tell({ type: 'phase', phase: 'recover', message: `${again}fine-tuning what is left, ${epochs} epochs` });
  return { sparse, recovered: await recover(job, { ...sparse, phase: 'recover', epochs, boldness, earlier }) };
}

/** The rounds that a checkpoint holds as done: of all but the last only what they cut. */
function roundsDone({ keeper }: Job): Round[] {
  const left = keeper?.from;
  if (!left) return [];
  const { done, scores } = left.position;
  return done.map(({ cuts, steering }, n) => ({
    sparse: { file: left.models.sparse!, outcome: 'completed', cuts, steering },
    recovered: {
      file: left.models.done!,
      score: (n === 0 ? scores.first : scores.done) ?? 0,
      outcome: 'completed',
    },
  }));
}

/** @returns a score as the user reads it. */
function metricOf(job: Job, phase: 'measure' | 'recover', value: number): MetricEvent {
  const { loss, indices, like } = job.samples.val;
  const facts = { type: 'metric', phase, on: 'val', samples: indices.length } as const;
  if (value < 0) return { ...facts, name: loss, value: -value };
  return { ...facts, name: like ? 'agreement' : 'accuracy', value };
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

function nameOf(outcomes: readonly TrainOutcome[]): RunFacts['outcome'] {
  if (outcomes.includes('aborted')) return 'interrupted';
  return outcomes.includes('out of time') ? 'time budget' : 'completed';
}
