import type { OnnxFile } from '../onnx/read.js';
import type { AugmentName } from '../options.js';
import { openSession } from '../runtime/session.js';
import { analyse } from '../shape/analyse.js';
import type { Distillation } from '../train/loss.js';
import type { Network } from '../train/network.js';
import { batchSource } from '../train/source.js';
import { type TrainOutcome, train } from '../train/trainer.js';
import { judge } from '../validate/measure.js';
import type { Job } from './job.js';
import { openPlaced } from './placed.js';
import type { Round } from './rounds.js';
import { doneOf, modelsOf, planOf, type Sparsified, toldOf } from './sparsify.js';

export interface Recovered {
  readonly file: OnnxFile;
  /** Accuracy or agreement, or minus the loss where there is neither, on the validation samples. */
  readonly score: number;
  readonly outcome: TrainOutcome;
}

/** Share of the phase after which every epoch is judged on the validation samples: before, the rate is still high. */
const JUDGED_FROM = 0.5;

/** The input model knows more than the labels say: which wrong classes a sample is like. Values as in most of the field. */
const DISTILLATION: Distillation = { share: 0.9, temperature: 4 };

/** What is fine-tuned, for how long, and where in the job that is. */
export interface Recovery {
  readonly phase: 'recover' | 'finish';
  readonly epochs: number;
  readonly file: OnnxFile;
  /** Of this round, for a checkpoint. */
  readonly cuts: Sparsified['cuts'];
  readonly steering?: Sparsified['steering'];
  readonly boldness: number;
  readonly earlier: readonly Round[];
}

/** Fine-tunes the stripped model without sparsity, taught by the input model, and keeps the epoch that the validation samples like best. */
export async function recover(job: Job, recovery: Recovery): Promise<Recovered> {
  const { recipe } = job;
  const { file: stripped, phase, cuts, steering, boldness, earlier } = recovery;
  const kept = job.keeper?.take(earlier.length + 1, phase);
  let best = kept?.models.best
    ? { file: kept.models.best, score: kept.position.scores.best ?? 0 }
    : { file: stripped, score: await score(job, stripped) };
  if (recovery.epochs === 0 || job.options.signal?.aborted) return { ...best, outcome: 'completed' };
  const analysis = await analyse(stripped, job.analysis.options);
  const teacher = await job.teacher?.();
  const distillation = job.teacher && !job.network.matched ? DISTILLATION : undefined;
  const { optimizer } = recipe;
  const network = await openPlaced(job, stripped, analysis, { optimizer, state: kept?.state, distillation }, teacher);
  const judgeNow = async () => {
    const file = await network.trained();
    const reached = await score(job, file);
    if (reached >= best.score) best = { file, score: reached };
  };
  try {
    const augment = augmentFor(job, network);
    const seed = job.seed + (phase === 'recover' ? 1 : 2);
    const source = batchSource(network.step, { ...job.sourceOptions, augment, seed, teacher });
    const plan = planOf(job, { ...recipe.recover, epochs: recovery.epochs }, source.stepsPerEpoch);
    const outcome = await train(
      network.run,
      network.step,
      source,
      plan,
      {
        signal: job.options.signal,
        deadline: job.deadlines.recover,
        async onWindow(at) {
          if (!job.keeper?.due()) return;
          const { done, scores } = doneOf(earlier);
          await job.keeper.save({
            position: {
              round: earlier.length + 1,
              phase,
              train: at,
              cuts,
              done,
              scores: { ...scores, best: best.score },
              steering,
              boldness,
            },
            state: await network.run.state(),
            models: { current: stripped, best: best.file, ...modelsOf(earlier) },
          });
        },
        onSteps: job.onSteps,
        onProgress: (p) => job.tell({ type: 'progress', phase: 'recover', ...toldOf(job, p) }),
        async onEpoch(epoch) {
          if (epoch >= plan.epochs * JUDGED_FROM) await judgeNow();
          return undefined;
        },
      },
      kept?.position.train,
    );
    if (outcome !== 'completed') await judgeNow();
    return { ...best, outcome };
  } finally {
    await network.close();
  }
}

/** A network with fewer weights than samples cannot learn them by heart: changed samples would only make it harder. */
function augmentFor(job: Job, network: Network): AugmentName {
  const weights = [...network.graph.parameters.values()].reduce((sum, t) => sum + t.data.length, 0);
  const { augment, indices } = job.sourceOptions;
  return job.augmentGiven || weights >= indices.length ? augment : 'none';
}

/** @returns what `Recovered` calls the score. */
export async function score(job: Job, file: OnnxFile): Promise<number> {
  const session = await openSession(file.model, { threads: { intraOp: job.network.threads } });
  try {
    const { accuracy, loss } = await judge(session, job.samples.val, { output: job.meaning });
    return accuracy ?? -(loss ?? Number.POSITIVE_INFINITY);
  } finally {
    await session.close();
  }
}
