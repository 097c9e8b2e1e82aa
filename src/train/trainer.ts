import { CgesError } from '../errors.js';
import { Random } from '../tensor/random.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { FeedSlot, StepGraph, TrainingRun } from './engine.js';
import { MOST_SKIPPED } from './lossScale.js';
import type { OptimizerOptions } from './optimizer.js';
import { type LambdaSchedule, type RateSchedule, rateAt, type WindowResult } from './schedule.js';
import { feedNames } from './step.js';

/** Batches of an epoch, in order. Same epoch, same batches. */
export interface BatchSource {
  readonly stepsPerEpoch: number;
  /** @returns tensors by feed name for `count` steps from step `from` of the epoch: leading axes [count, (micro), batch]. */
  chunk(epoch: number, from: number, count: number): Promise<Record<string, Tensor>>;
  /**
   * Adds to a chunk what takes the processor's threads itself, and so is done between two runs of the engine: side by side
   * they would wait for each other.
   */
  complete?(chunk: Record<string, Tensor>, epoch: number, from: number, count: number): Promise<Record<string, Tensor>>;
}

export interface TrainPlan {
  readonly epochs: number;
  readonly rate: RateSchedule;
  readonly lambda?: LambdaSchedule;
  readonly optimizer: OptimizerOptions;
  /** Samples in a step. */
  readonly samplesPerStep: number;
  readonly seed: number;
  /** Steps between two looks at the results: λ changes only there. */
  readonly window: number;
}

/** Where a run stands: enough to go on from there. */
export interface TrainPosition {
  /** Steps done in this phase. */
  readonly step: number;
  readonly lambda?: readonly number[];
}

export interface TrainHooks {
  readonly signal?: AbortSignal;
  /** Time (performance.now) at which training has to stop. */
  readonly deadline?: number;
  onProgress?(progress: TrainProgress): void;
  /** Told how long steps took in the engine; the first run is left out, in which kernels are compiled. */
  onSteps?(steps: number, seconds: number): void;
  /** Called after every window, when `position` is a state that can be continued from. */
  onWindow?(position: TrainPosition): Promise<void> | void;
  /** Called after every epoch; answering false ends the phase there. */
  onEpoch?(epoch: number): Promise<boolean | undefined> | boolean | undefined;
}

export interface TrainProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  /** Share of right predictions, 0 … 1, for losses that count them. */
  readonly accuracy?: number;
  readonly alive?: number;
  /** Strength of the regularizer, where there is one. */
  readonly lambda?: number;
  readonly secondsLeft: number;
}

export type TrainOutcome = 'completed' | 'aborted' | 'out of time' | 'stopped';

/** Seconds that one run of the engine should take: between runs there is room for progress, cancelling, checkpoints. */
const SECONDS_PER_RUN = 1;
/** Limit of one run's feeds. */
const BYTES_PER_RUN = 64e6;

/**
 * Trains through a plan. The state stays in `run`. Steps that a loss scale skipped count as steps, but tell nothing.
 * @throws CgesError DIVERGED when the loss is no longer finite, or too many steps in a row were skipped
 */
export async function train(
  run: TrainingRun,
  step: StepGraph,
  source: BatchSource,
  plan: TrainPlan,
  hooks: TrainHooks = {},
  from: TrainPosition = { step: 0 },
): Promise<TrainOutcome> {
  const total = plan.epochs * source.stepsPerEpoch;
  const bytesPerStep = step.feeds.reduce((sum, f) => sum + sizeOf(f.shape) * 4, 0);
  const mostSteps = Math.max(1, Math.floor(BYTES_PER_RUN / bytesPerStep));
  const started = performance.now();
  if (from.lambda) plan.lambda?.restore(from.lambda);
  let done = from.step;
  let perRun = 1;
  let window = emptyWindow();
  let shown = { loss: Number.NaN } as Pick<TrainProgress, 'loss' | 'accuracy' | 'alive'>;
  let observed: Omit<WindowResult, 'step'> | undefined;
  let skipped = 0;
  let prepared: { at: number; count: number; batch: Promise<Record<string, Tensor>> } | undefined;

  const extent = (at: number): number => {
    const epochEnd = source.stepsPerEpoch - (at % source.stepsPerEpoch);
    const windowEnd = plan.window - (at % plan.window);
    return Math.min(perRun, epochEnd, windowEnd, total - at);
  };
  const prepare = (at: number) => {
    const count = extent(at);
    const epoch = Math.floor(at / source.stepsPerEpoch);
    const batch = source.chunk(epoch, at % source.stepsPerEpoch, count);
    batch.catch(() => undefined);
    return { at, count, batch };
  };

  while (done < total) {
    if (hooks.signal?.aborted) return 'aborted';
    if (hooks.deadline !== undefined && performance.now() > hooks.deadline) return 'out of time';
    if (prepared?.at !== done) prepared = prepare(done);
    const { count, batch } = prepared;
    const [epoch, first] = [Math.floor(done / source.stepsPerEpoch), done % source.stepsPerEpoch];
    const chunk = (await source.complete?.(await batch, epoch, first, count)) ?? (await batch);
    const feeds = { ...chunk, ...scalars(step, plan, done, count) };
    const next = done + count;
    prepared = next < total ? prepare(next) : undefined;
    const before = performance.now();
    const all = await run.run(feeds);
    const seconds = (performance.now() - before) / 1000;
    if (done > from.step) hooks.onSteps?.(count, seconds);
    skipped = checked(all, skipped, (at) => done + at, plan);
    const metrics = takenOf(all);
    const taken = metrics.loss.length;
    window = added(window, metrics, taken);
    if (taken > 0) {
      const accuracy = metrics.correct && mean(metrics.correct) / plan.samplesPerStep;
      shown = { loss: mean(metrics.loss), accuracy, alive: metrics.alive?.at(-1) };
    }
    done = next;
    perRun = Math.max(
      1,
      Math.min(mostSteps, Math.round((SECONDS_PER_RUN * count) / Math.max(seconds, 1e-4)), perRun * 8),
    );
    const elapsed = (performance.now() - started) / 1000;
    hooks.onProgress?.({
      epoch: Math.ceil(done / source.stepsPerEpoch),
      epochs: plan.epochs,
      step: done,
      steps: total,
      ...shown,
      lambda: plan.lambda?.value,
      secondsLeft: (elapsed / (done - from.step)) * (total - done),
    });
    if (done % plan.window === 0 || done === total) {
      // A window without a step that was taken passes for one like the last.
      if (window.steps > 0) observed = meansOf(window, plan);
      if (observed) plan.lambda?.observe({ ...observed, step: done });
      window = emptyWindow();
      await hooks.onWindow?.({ step: done, lambda: plan.lambda?.save() });
    }
    if (done % source.stepsPerEpoch === 0) {
      const goOn = await hooks.onEpoch?.(done / source.stepsPerEpoch);
      if (goOn === false && done < total) return 'stopped';
    }
  }
  return 'completed';
}

interface Window {
  steps: number;
  loss: number;
  shrinkage: number;
  correct?: number;
}

function emptyWindow(): Window {
  return { steps: 0, loss: 0, shrinkage: 0 };
}

function meansOf({ steps, loss, shrinkage, correct }: Window, plan: TrainPlan): Omit<WindowResult, 'step'> {
  const accuracy = correct === undefined ? undefined : correct / (steps * plan.samplesPerStep);
  return { loss: loss / steps, shrinkage: shrinkage / steps, accuracy };
}

/** @returns the metrics of the steps that were taken. */
function takenOf(metrics: Record<string, Float32Array>): Record<string, Float32Array> {
  const { skipped } = metrics;
  if (!skipped?.some((s) => s > 0)) return metrics;
  return Object.fromEntries(Object.entries(metrics).map(([name, m]) => [name, m.filter((_, i) => skipped[i] === 0)]));
}

/**
 * @param before how many steps in a row were skipped before these
 * @returns how many were at their end
 */
function checked(
  { loss, skipped }: Record<string, Float32Array>,
  before: number,
  stepOf: (at: number) => number,
  plan: TrainPlan,
): number {
  let row = before;
  loss.forEach((l, at) => {
    row = skipped?.[at] ? row + 1 : 0;
    if (row === 0 && !Number.isFinite(l)) throw diverged(stepOf(at), plan);
    if (row >= MOST_SKIPPED) throw overflowed(stepOf(at), plan);
  });
  return row;
}

function added(window: Window, metrics: Record<string, Float32Array>, count: number): Window {
  const sum = (x: Float32Array) => x.reduce((a, b) => a + b, 0);
  return {
    steps: window.steps + count,
    loss: window.loss + sum(metrics.loss),
    shrinkage: window.shrinkage + (metrics.shrinkage ? sum(metrics.shrinkage) : 0),
    correct: metrics.correct ? (window.correct ?? 0) + sum(metrics.correct) : undefined,
  };
}

/** The feeds that depend on the step alone. */
function scalars(step: StepGraph, plan: TrainPlan, from: number, count: number): Record<string, Tensor> {
  const perStep = (f: (t: number) => number) => Float32Array.from({ length: count }, (_, i) => f(from + i));
  const adam = plan.optimizer.name === 'sgd' ? undefined : plan.optimizer;
  const values: Record<string, (t: number) => number> = {
    [feedNames.rate]: (t) => rateAt(plan.rate, t),
    [feedNames.lambda]: () => plan.lambda?.value ?? 0,
    ...(adam && {
      [feedNames.correction1]: (t: number) => 1 / (1 - adam.beta1 ** (t + 1)),
      [feedNames.correction2]: (t: number) => 1 / (1 - adam.beta2 ** (t + 1)),
    }),
  };
  const feeds: Record<string, Tensor> = {};
  for (const slot of step.feeds) {
    const value = values[slot.name];
    if (value) feeds[slot.name] = float32([count, ...slot.shape], perStep(value));
    else if (slot.name === feedNames.phase) feeds[slot.name] = phases(slot, plan.seed, from, count);
  }
  return feeds;
}

/** Phases of the random masks: a function of (seed, step), so that a resumed run draws the same. */
function phases(slot: FeedSlot, seed: number, from: number, count: number): Tensor {
  const each = sizeOf(slot.shape);
  const data = new Float32Array(count * each);
  for (let i = 0; i < count; i++) {
    const random = Random.stream(seed, 0x70686173, from + i);
    for (let j = 0; j < each; j++) data[i * each + j] = random.uniform() * 1000;
  }
  return float32([count, ...slot.shape], data);
}

function mean(x: Float32Array): number {
  return x.reduce((a, b) => a + b, 0) / x.length;
}

function diverged(step: number, plan: TrainPlan): CgesError {
  return new CgesError('DIVERGED', `the loss is no longer a finite number ${atStep(step, plan)}`, {
    hint: `try ${smallerRate(plan)}`,
  });
}

function overflowed(step: number, plan: TrainPlan): CgesError {
  const what = `in half precision the gradients of ${MOST_SKIPPED} steps in a row are no finite numbers`;
  return new CgesError('DIVERGED', `${what} ${atStep(step, plan)}`, {
    hint: `try --precision fp32, or ${smallerRate(plan)}`,
  });
}

function atStep(step: number, plan: TrainPlan): string {
  return `at step ${step + 1} (learning rate ${rateAt(plan.rate, step).toPrecision(2)})`;
}

function smallerRate(plan: TrainPlan): string {
  return `a smaller learning rate: --lr ${(plan.rate.peak / 10).toPrecision(1)}`;
}
