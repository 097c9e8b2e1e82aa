import type { OnnxFile } from '../onnx/read.js';
import { openSession } from '../runtime/session.js';
import { analyse } from '../shape/analyse.js';
import { openNetwork } from '../train/network.js';
import { batchSource } from '../train/source.js';
import { type TrainOutcome, train } from '../train/trainer.js';
import { evaluate } from '../validate/accuracy.js';
import type { Job } from './job.js';
import { planOf } from './sparsify.js';

export interface Recovered {
  readonly file: OnnxFile;
  /** Accuracy, or minus the loss where there is none, on the validation samples. */
  readonly score: number;
  readonly outcome: TrainOutcome;
}

/** Share of the phase after which every epoch is judged on the validation samples: before, the rate is still high. */
const JUDGED_FROM = 0.5;

/** Fine-tunes the stripped model without sparsity, and keeps the epoch that the validation samples like best. */
export async function recover(job: Job, stripped: OnnxFile): Promise<Recovered> {
  const { recipe } = job;
  let best = { file: stripped, score: await score(job, stripped) };
  if (recipe.recover.epochs === 0 || job.options.signal?.aborted) return { ...best, outcome: 'completed' };
  const analysis = await analyse(stripped, job.analysis.options);
  const network = await openNetwork(stripped, analysis, { ...job.network, optimizer: recipe.optimizer });
  const judge = async () => {
    const file = await network.trained();
    const reached = await score(job, file);
    if (reached >= best.score) best = { file, score: reached };
  };
  try {
    const source = batchSource(network.step, { ...job.sourceOptions, seed: job.seed + 1 });
    const plan = planOf(job, recipe.recover, source.stepsPerEpoch);
    const outcome = await train(network.run, network.step, source, plan, {
      signal: job.options.signal,
      deadline: job.deadlines.recover,
      onProgress: (p) => job.tell({ type: 'progress', phase: 'recover', ...p }),
      async onEpoch(epoch) {
        if (epoch >= plan.epochs * JUDGED_FROM) await judge();
        return undefined;
      },
    });
    if (outcome !== 'completed') await judge();
    return { ...best, outcome };
  } finally {
    await network.close();
  }
}

/** @returns what `Recovered` calls the score. */
export async function score(job: Job, file: OnnxFile): Promise<number> {
  const { data, indices, loss: name } = job.samples.val;
  const session = await openSession(file.model, { threads: { intraOp: job.network.threads } });
  try {
    const { accuracy, loss } = await evaluate(session, data, indices, { loss: name, output: job.meaning });
    return accuracy ?? -(loss ?? Number.POSITIVE_INFINITY);
  } finally {
    await session.close();
  }
}
