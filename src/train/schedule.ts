/** Learning rate over a phase: linear warm-up, then half a cosine down to `floor` of the peak. */
export interface RateSchedule {
  readonly peak: number;
  readonly steps: number;
  readonly warmupSteps: number;
  /** Share of the peak that is left at the end, 0 … 1. */
  readonly floor: number;
}

/** @returns the rate of step `t` (from 0). Source: Loshchilov & Hutter, SGDR, 2017, eq. 5, without restarts. */
export function rateAt(schedule: RateSchedule, t: number): number {
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
  readonly start: number;
  /** Quality that training may fall to while it is made sparse: accuracy not below, or loss not above. */
  readonly limit: { readonly accuracy: number } | { readonly loss: number };
  /** Total windows of the phase. */
  readonly windows: number;
  /** λ may change by at most this factor in a window. */
  readonly gain: number;
}

/**
 * λ steered by feedback: it rises while training quality stays on the good side of the limit and falls when it doesn't,
 * so that the network is made as sparse as the allowed loss of quality permits, whatever the scale of its weights.
 */
export function steeredLambda(options: SteeringOptions): LambdaSchedule {
  let lambda = options.start;
  let smooth: number | undefined;
  return {
    get value() {
      return lambda;
    },
    observe(window) {
      const error = 'accuracy' in options.limit ? 1 - window.accuracy! : window.loss;
      const allowed = 'accuracy' in options.limit ? 1 - options.limit.accuracy : options.limit.loss;
      smooth = smooth === undefined ? error : 0.6 * smooth + 0.4 * error;
      // In −1 … 1: how far quality is from the limit, as a share of it.
      const room = Math.max(-1, Math.min(1, 2 * (1 - smooth / Math.max(allowed, 1e-9))));
      lambda = Math.max(options.start * 0.05, lambda * options.gain ** room);
    },
    save: () => [lambda, smooth ?? Number.NaN],
    restore: ([l, s]) => {
      lambda = l;
      smooth = Number.isNaN(s) ? undefined : s;
    },
  };
}
