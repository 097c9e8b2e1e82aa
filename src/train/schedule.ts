/** Learning rate over a phase. */
export type RateSchedule = CosineRate | StaircaseRate;

/** Linear warm-up, then half a cosine down to `floor` of the peak. */
export interface CosineRate {
  readonly peak: number;
  readonly steps: number;
  readonly warmupSteps: number;
  /** Share of the peak that is left at the end, 0 … 1. */
  readonly floor: number;
}

/** Constant for `every` steps, then `factor` times as high, and so on. */
export interface StaircaseRate {
  readonly peak: number;
  readonly every: number;
  readonly factor: number;
}

/** @returns the rate of step `t` (from 0). Source of the cosine: Loshchilov & Hutter, SGDR, 2017, eq. 5, no restarts. */
export function rateAt(schedule: RateSchedule, t: number): number {
  if ('every' in schedule) return schedule.peak * schedule.factor ** Math.floor(t / schedule.every);
  const { peak, steps, warmupSteps, floor } = schedule;
  if (t < warmupSteps) return (peak * (t + 1)) / warmupSteps;
  const progress = Math.min(1, (t - warmupSteps) / Math.max(1, steps - warmupSteps));
  return peak * (floor + ((1 - floor) * (1 + Math.cos(Math.PI * progress))) / 2);
}

/** Chooses λ for the next window of steps; knows only what training has shown so far. */
export interface LambdaSchedule {
  /** λ of the coming window. */
  readonly value: number;
  /** Tells what a window of training gave. */
  observe(window: WindowResult): void;
  /** Plain numbers that restore it. */
  save(): number[];
  restore(state: readonly number[]): void;
}

export interface WindowResult {
  /** Mean loss and, for classifiers, share of right predictions (0 … 1) over the window. */
  readonly loss: number;
  readonly accuracy?: number;
  /** Share of its norm that a typical living unit lost to the group step, in a step. */
  readonly shrinkage?: number;
  /** Steps done so far, this window included. */
  readonly step: number;
}

/** λ that grows linearly from 0 to its full value over the first steps and then stays. */
export function rampedLambda(full: number, rampSteps: number): LambdaSchedule {
  let step = 0;
  return {
    get value() {
      return full * Math.min(1, (step + 1) / Math.max(1, rampSteps));
    },
    observe(window) {
      step = window.step;
    },
    save: () => [step],
    restore: ([s]) => {
      step = s;
    },
  };
}

/** What a steered λ aims at. */
export interface SteeringOptions {
  /** λ of the first windows. */
  readonly start: number;
  /**
   * Windows at the start in which the network gets used to its samples and to the full learning rate: so many at least,
   * and more, up to `patience`, for as long as its error still rises. A network that was trained to the end knows its
   * samples by heart; at a rate at which it can learn anything it forgets part of them, sparsity or not.
   */
  readonly settling: number;
  readonly patience: number;
  /** Windows after those whose mean quality is the reference. Neither is needed where the reference is given. */
  readonly calibration: number;
  /** Steps and windows of the whole phase: λ moves at a pace at which units can die within it. */
  readonly steps: number;
  readonly windows: number;
  readonly reference?: number;
  /** Factor on the loss of quality that is allowed (default 1). */
  readonly boldness?: number;
}

/** A steered λ tells what it steers by. */
export interface SteeredLambda extends LambdaSchedule {
  /** Error or loss that the network had at the start. */
  readonly reference: number;
}

/**
 * Factors by which λ may change over a tenth of the phase: below the level where it went too far, and above. λ takes
 * effect late, after the time that a unit needs to shrink: a faster search overshoots, and units die together.
 */
const SEARCHING = 5;
const SETTLED = 1.6;
/** Share of its norm that a typical unit would lose over the whole phase by the λ that the search begins with. */
const FIRST_LOSS = 1;
/**
 * Where λ meets the limit it has gone too far already, for the damage is still to come: it falls by the first factor, for
 * the network to recover, and climbs fast again to its old level over the second one.
 */
const RETREAT = 5;
const RETURN = 2;
/** Room that says that the network has recovered; recent error, as a share of the long memory's, that says it will not. */
const RECOVERED = 0.3;
const STEADY = 0.98;
/** Shares of the phase over which quality is averaged, to steer by, and to see whether it still gets worse. */
const MEMORY = 0.01;
const LONG_MEMORY = 0.05;
/** Recent error above that of the long memory by this factor: it still rises. */
const RISING = 1.1;
/** Error that a classifier may gain while it is made sparse: a part of its own and a share of what it begins with. */
const ALLOWED_ERROR = { own: 0.008, share: 0.3 } as const;
/** Growth that other losses may have. */
const ALLOWED_LOSS = 0.25;

/**
 * λ steered by feedback: it rises while training quality stays within an allowed distance of where it began, and falls
 * back when it doesn't. So the network becomes as sparse as that loss of quality permits, whatever the scale of its
 * weights and gradients: λ is first searched in large steps, then led to the limit in small ones.
 */
export function steeredLambda(options: SteeringOptions): SteeredLambda {
  const { settling, patience, calibration, windows } = options;
  const boldness = options.boldness ?? 1;
  let lambda = options.start;
  let seen = 0;
  let calibrated = options.reference === undefined ? 0 : calibration;
  let reference = options.reference ?? 0;
  let recent = reference;
  let longer = reference;
  /** λ climbs fast below this level; whether the limit counts, which it does not until the network has recovered. */
  let level = Number.MAX_VALUE;
  let armed = 1;
  let retreats = 0;
  let retreated = 0;
  let shrinkage = 0;
  const follow = (mean: number, error: number, memory: number) =>
    mean + (error - mean) * (1 - Math.exp(-1 / (memory * windows)));
  return {
    get reference() {
      return reference;
    },
    get value() {
      return lambda;
    },
    observe(window) {
      const error = window.accuracy === undefined ? window.loss : 1 - window.accuracy;
      const first = seen++ === 0 && options.reference === undefined;
      recent = first ? error : follow(recent, error, MEMORY);
      longer = first ? error : follow(longer, error, LONG_MEMORY);
      if (calibrated < calibration) {
        const rises = recent > RISING * longer && seen <= patience;
        if (calibrated === 0 && (seen <= settling || rises)) return;
        calibrated++;
        reference += (error - reference) / calibrated;
        if (window.shrinkage) shrinkage += window.shrinkage / calibration;
        if (calibrated < calibration) return;
        recent = reference;
        if (shrinkage > 0) lambda *= FIRST_LOSS / (shrinkage * options.steps);
        return;
      }
      const classifies = window.accuracy !== undefined;
      const allowed =
        boldness * (classifies ? ALLOWED_ERROR.own + ALLOWED_ERROR.share * reference : ALLOWED_LOSS * reference);
      // 1: as good as at the start; 0: at the limit; −1: twice as far.
      const room = Math.max(-1, Math.min(1, 1 - (recent - reference) / Math.max(allowed, 1e-12)));
      if (room > RECOVERED) armed = 1;
      const waited = seen - retreated > 1.5 * LONG_MEMORY * windows;
      if (!armed && retreats === 1 && waited && recent > STEADY * longer) {
        // Hardly pressed, and no better: what it lost it lost to the learning rate.
        reference = longer;
        retreats++;
        armed = 1;
      } else if (armed && room < 0) {
        armed = 0;
        retreats++;
        retreated = seen;
        level = lambda / RETURN;
        lambda /= RETREAT;
      } else lambda *= (room > 0 && lambda >= level ? SETTLED : SEARCHING) ** ((10 * room) / windows);
    },
    save: () => [lambda, seen, calibrated, reference, recent, longer, level, armed, retreats, retreated, shrinkage],
    restore: (state) => {
      [lambda, seen, calibrated, reference, recent, longer, level, armed, retreats, retreated, shrinkage] = state;
    },
  };
}
