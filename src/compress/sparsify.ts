import type { ModelProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { analyse } from '../shape/analyse.js';
import type { Phase } from '../train/recipe.js';
import type { Tensor } from '../tensor/tensor.js';
import { type LambdaSchedule, rampedLambda, type SteeredLambda, steeredLambda } from '../train/schedule.js';
import { batchSource } from '../train/source.js';
import { type TrainOutcome, type TrainPosition, type TrainProgress, train } from '../train/trainer.js';
import { slotState } from '../train/weights.js';
import type { Job } from './job.js';
import type { JobPosition, KeptModels, Steering } from './keeper.js';
import { openPlaced } from './placed.js';
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
  /** Absent where λ was given. */
  readonly steering?: Steering;
}

/** Share of the phase over which a given λ grows to its full value. */
const RAMP = 0.1;
/** Shares of the phase: in which a network settles after the warm-up, by which it must, in which its quality is measured. */
const SETTLING = 0.03;
const PATIENCE = 0.3;
const CALIBRATION = 0.04;
/** λ that the search begins with: too faint to do anything. */
const FAINT = 1e-12;
/** A further round begins with λ reduced by this factor, and more where it has to be more careful; it takes this share of the epochs. */
const STEP_BACK = 2;
const SHORTER = 0.5;
/** Exponent of what a unit's removal saves: by the whole of it cheap units would hardly be pressed, and stay. */
const SAVING_EXPONENT = 0.5;
/** Weak units are pressed by the square of how weak they are. */
const ADAPTIVITY = 2;

/**
 * Fine-tunes with sparsity; strips in between where enough has died, so that later epochs are cheaper.
 * @param boldness factor on the loss of quality that is allowed meanwhile
 */
export async function sparsify(
  job: Job,
  from: OnnxFile,
  earlier: readonly Round[],
  boldness: number,
): Promise<Sparsified> {
  const { recipe, options } = job;
  const phase = { ...recipe.sparsify, epochs: sparsifyEpochs(job, earlier.length + 1) };
  const kept = job.keeper?.take(earlier.length + 1, 'sparsify');
  const cuts: CutFacts[] = [...(kept?.position.cuts ?? [])];
  let file = kept?.models.current ?? from;
  let analysis = file === job.file ? job.analysis : await analyse(file, job.analysis.options);
  let position: TrainPosition = kept?.position.train ?? { step: 0 };
  const lambda = lambdaSchedule(job, earlier, boldness);
  let state = kept?.state;
  for (;;) {
    const teacher = job.samples.like && (await job.teacher?.());
    const sparsity = {
      regularizer: options.regularizer ?? 'cges',
      grouping: options.grouping ?? 'channel',
      m: options.m ?? 0.2,
      savingExponent: SAVING_EXPONENT,
      adaptivity: ADAPTIVITY,
    };
    const network = await openPlaced(job, file, analysis, { optimizer: recipe.optimizer, state, sparsity }, teacher);
    const current = file;
    const units = network.groups.families.reduce((sum, f) => sum + f.count, 0);
    const source = batchSource(network.step, { ...job.sourceOptions, teacher });
    const total = source.stepsPerEpoch * phase.epochs;
    let alive = units;
    let outcome: TrainOutcome;
    let slots: ModelProto[];
    let shapeless: Map<string, Tensor>;
    try {
      outcome = await train(
        network.run,
        network.step,
        source,
        { ...planOf(job, phase, source.stepsPerEpoch), lambda },
        {
          signal: options.signal,
          deadline: job.deadlines.sparsify,
          onSteps: job.onSteps,
          onProgress(p) {
            alive = p.alive ?? units;
            job.tell({ type: 'progress', phase: 'sparsify', ...toldOf(job, p), unitsAlive: alive, unitsTotal: units });
          },
          async onWindow(at) {
            position = at;
            if (!job.keeper?.due()) return;
            await job.keeper.save({
              position: { round: earlier.length + 1, phase: 'sparsify', train: at, cuts, boldness, ...doneOf(earlier) },
              state: await network.run.state(),
              models: { current, ...modelsOf(earlier) },
            });
          },
          onEpoch: () => alive >= units * (1 - WORTH_STRIPPING),
        },
        position,
      );
      file = await network.trained();
      slots = await network.slots();
      shapeless = await network.shapeless();
    } finally {
      await network.close();
    }
    const removal = await removeDead(job, file, slots);
    cuts.push(removal.cut);
    file = removal.file;
    if (outcome !== 'stopped' || position.step >= total)
      return { file, outcome, cuts, steering: steeringOf(lambda, boldness) };
    analysis = await analyse(file, job.analysis.options);
    state = new Map([...slotState(removal.slots, recipe.optimizer), ...shapeless]);
  }
}

/** @returns how long a round (from 1) trains with sparsity. */
export function sparsifyEpochs({ recipe }: Job, round: number): number {
  return round === 1 ? recipe.sparsify.epochs : Math.ceil(recipe.sparsify.epochs * SHORTER);
}

/** What a checkpoint holds of the rounds that are done. */
export function doneOf(earlier: readonly Round[]): Pick<JobPosition, 'done' | 'scores'> {
  return {
    done: earlier.map(({ sparse: { cuts, steering } }) => ({ cuts, steering })),
    scores: { first: earlier[0]?.recovered.score, done: earlier.at(-1)?.recovered.score },
  };
}

export function modelsOf(earlier: readonly Round[]): KeptModels {
  const last = earlier.at(-1);
  return last ? { sparse: last.sparse.file, done: last.recovered.file } : {};
}

/** @returns the progress as the user reads it: without labels nobody knows what is right. */
export function toldOf({ samples, network }: Job, { accuracy, ...progress }: TrainProgress) {
  if (!samples.like) return { ...progress, accuracy };
  return { ...progress, agreement: network.matched ? 1 / (1 + progress.loss) : accuracy };
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

function lambdaSchedule(job: Job, earlier: readonly Round[], boldness: number): LambdaSchedule | SteeredLambda {
  const { options, recipe } = job;
  const samples = job.sourceOptions.indices.length;
  const epochs = sparsifyEpochs(job, earlier.length + 1);
  const steps = Math.floor(samples / (recipe.batch * recipe.microBatches)) * epochs;
  if (options.lambda !== undefined) return rampedLambda(options.lambda, steps * RAMP);
  const windows = epochs * WINDOWS_PER_EPOCH;
  const before = earlier.at(-1)?.sparse.steering;
  return steeredLambda({
    start: before ? (before.lambda / STEP_BACK) * Math.min(1, boldness / before.boldness) : FAINT,
    settling: Math.ceil(windows * (recipe.sparsify.warmup + SETTLING)),
    patience: Math.ceil(windows * PATIENCE),
    calibration: Math.max(2, Math.round(windows * CALIBRATION)),
    steps,
    windows,
    reference: before?.reference,
    boldness,
  });
}

function steeringOf(lambda: LambdaSchedule | SteeredLambda, boldness: number): Steering | undefined {
  return 'reference' in lambda ? { reference: lambda.reference, lambda: lambda.value, boldness } : undefined;
}
