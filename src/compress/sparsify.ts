import type { OnnxFile } from '../onnx/read.js';
import { analyse } from '../shape/analyse.js';
import { openNetwork } from '../train/network.js';
import type { Phase } from '../train/recipe.js';
import { type LambdaSchedule, rampedLambda, steeredLambda } from '../train/schedule.js';
import { batchSource } from '../train/source.js';
import { type TrainOutcome, type TrainPosition, train } from '../train/trainer.js';
import type { Job } from './job.js';
import { type Removal, removeDead } from './remove.js';

/** Looks at the results of an epoch this often: λ is steered and units are counted there. */
const WINDOWS_PER_EPOCH = 20;
/** A strip in between pays when at least this share of the units is dead: what follows trains a smaller network. */
const WORTH_STRIPPING = 0.12;

export interface Sparsified {
  readonly file: OnnxFile;
  readonly outcome: TrainOutcome;
  readonly removals: readonly Removal[];
}

/** Fine-tunes with sparsity; strips in between where enough has died, so that later epochs are cheaper. */
export async function sparsify(job: Job, from: OnnxFile): Promise<Sparsified> {
  const { recipe, options } = job;
  const removals: Removal[] = [];
  let file = from;
  let analysis = from === job.file ? job.analysis : await analyse(from, job.analysis.options);
  let position: TrainPosition = { step: 0 };
  const lambda = lambdaSchedule(job);
  for (;;) {
    const network = await openNetwork(file, analysis, {
      ...job.network,
      optimizer: recipe.optimizer,
      sparsity: {
        regularizer: options.regularizer ?? 'cges',
        grouping: options.grouping ?? 'channel',
        m: options.m ?? 0.2,
      },
    });
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
          onWindow(at) {
            position = at;
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
    removals.push(removal);
    file = removal.file;
    if (outcome !== 'stopped' || position.step >= total) return { file, outcome, removals };
    analysis = await analyse(file, job.analysis.options);
  }
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
