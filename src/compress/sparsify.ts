import type { OnnxFile } from '../onnx/read.js';
import { analyse } from '../shape/analyse.js';
import { openNetwork } from '../train/network.js';
import type { Phase } from '../train/recipe.js';
import { type LambdaSchedule, rampedLambda, steeredLambda } from '../train/schedule.js';
import { batchSource } from '../train/source.js';
import { type TrainOutcome, type TrainPosition, train } from '../train/trainer.js';
import type { Job } from './job.js';
import type { JobPosition, KeptModels } from './keeper.js';
import { type CutFacts, removeDead } from './remove.js';
import type { Round } from './rounds.js';

/** Looks at the results of an epoch this often: λ is steered and units are counted there. */
const WINDOWS_PER_EPOCH = 20;
/** A strip in between pays when at least this share of the units is dead: what follows trains a smaller network. */
const WORTH_STRIPPING = 0.12;

export interface Sparsified {
  readonly file: OnnxFile;
  readonly outcome: TrainOutcome;
  readonly cuts: readonly CutFacts[];
}

/** Fine-tunes with sparsity; strips in between where enough has died, so that later epochs are cheaper. */
export async function sparsify(job: Job, from: OnnxFile, earlier: readonly Round[]): Promise<Sparsified> {
  const { recipe, options } = job;
  let kept = job.keeper?.take(earlier.length + 1, 'sparsify');
  const cuts: CutFacts[] = [...(kept?.position.cuts ?? [])];
  let file = kept?.models.current ?? from;
  let analysis = file === job.file ? job.analysis : await analyse(file, job.analysis.options);
  let position: TrainPosition = kept?.position.train ?? { step: 0 };
  const lambda = lambdaSchedule(job);
  for (;;) {
    const network = await openNetwork(file, analysis, {
      ...job.network,
      optimizer: recipe.optimizer,
      state: kept?.state,
      sparsity: {
        regularizer: options.regularizer ?? 'cges',
        grouping: options.grouping ?? 'channel',
        m: options.m ?? 0.2,
      },
    });
    kept = undefined;
    const current = file;
    const units = network.groups.families.reduce((sum, f) => sum + f.count, 0);
    const source = batchSource(network.step, job.sourceOptions);
    const total = source.stepsPerEpoch * recipe.sparsify.epochs;
    let alive = units;
    let outcome: TrainOutcome;
    try {
      outcome = await train(
        network.run,
        network.step,
        source,
        { ...planOf(job, recipe.sparsify, source.stepsPerEpoch), lambda },
        {
          signal: options.signal,
          deadline: job.deadlines.sparsify,
          onProgress(p) {
            alive = p.alive ?? units;
            job.tell({ type: 'progress', phase: 'sparsify', ...p, unitsAlive: alive, unitsTotal: units });
          },
          async onWindow(at) {
            position = at;
            if (!job.keeper?.due()) return;
            await job.keeper.save({
              position: { round: earlier.length + 1, phase: 'sparsify', train: at, cuts, ...doneOf(earlier) },
              state: await network.run.state(),
              models: { current, ...modelsOf(earlier) },
            });
          },
          onEpoch: () => alive >= units * (1 - WORTH_STRIPPING),
        },
        position,
      );
      file = await network.trained();
    } finally {
      await network.close();
    }
    const removal = await removeDead(job, file);
    cuts.push(removal.cut);
    file = removal.file;
    if (outcome !== 'stopped' || position.step >= total) return { file, outcome, cuts };
    analysis = await analyse(file, job.analysis.options);
  }
}

/** What a checkpoint holds of the rounds that are done. */
export function doneOf(earlier: readonly Round[]): Pick<JobPosition, 'done' | 'scores'> {
  return { done: earlier.map((r) => r.sparse.cuts), scores: { done: earlier.at(-1)?.recovered.score } };
}

export function modelsOf(earlier: readonly Round[]): KeptModels {
  const last = earlier.at(-1);
  return last ? { sparse: last.sparse.file, done: last.recovered.file } : {};
}

/** The part of a training plan that both phases share. */
export function planOf(job: Job, phase: Phase, stepsPerEpoch: number) {
  const steps = phase.epochs * stepsPerEpoch;
  return {
    epochs: phase.epochs,
    rate: { peak: phase.peakRate, steps, warmupSteps: Math.ceil(steps * phase.warmup), floor: phase.floor },
    optimizer: job.recipe.optimizer,
    samplesPerStep: job.recipe.batch * job.recipe.microBatches,
    seed: job.seed,
    window: Math.max(1, Math.round(stepsPerEpoch / WINDOWS_PER_EPOCH)),
  };
}

function lambdaSchedule(job: Job): LambdaSchedule {
  const { options, recipe } = job;
  const windows = recipe.sparsify.epochs * WINDOWS_PER_EPOCH;
  if (options.lambda !== undefined) {
    const steps =
      Math.floor(job.sourceOptions.indices.length / (recipe.batch * recipe.microBatches)) * recipe.sparsify.epochs;
    return rampedLambda(options.lambda, steps / 10);
  }
  return steeredLambda({ start: 1e-5, calibration: Math.max(2, Math.round(windows / 40)), windows, gain: 1.3 });
}
