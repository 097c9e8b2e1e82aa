/** What a run does, in the order in which it does it; `strip` and `recover` may come more than once. */
export const phases = ['inspect', 'measure', 'sparsify', 'strip', 'recover', 'validate', 'write'] as const;

export type Phase = (typeof phases)[number];

/** A phase has begun; it ends where the next one begins. */
export interface PhaseEvent {
  readonly type: 'phase';
  readonly phase: Phase;
  /** One line for the user: "fine-tuning with CGES sparsity, 12 epochs". */
  readonly message?: string;
}

/** Where long work stands. Fields that a phase does not have are left out; counts begin at 1. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly phase: Phase;
  readonly epoch?: number;
  readonly epochs?: number;
  readonly step?: number;
  readonly steps?: number;
  /** Mean loss since the last event of this type. */
  readonly loss?: number;
  /** Share of right predictions, 0 … 1, since the last event of this type. */
  readonly accuracy?: number;
  /** Where the data has no labels: share, 0 … 1, of what the input model answers that is answered alike. */
  readonly agreement?: number;
  /** Strength of the regularizer. */
  readonly lambda?: number;
  readonly unitsAlive?: number;
  readonly unitsTotal?: number;
  readonly secondsLeft?: number;
}

/** Something that the run decided because the user left it open. */
export interface ChoiceEvent {
  readonly type: 'choice';
  /** The option that decides it: `preprocessing`, `loss`, `batch`, … */
  readonly what: string;
  readonly value: string;
  readonly why: string;
}

/** Something that the user should know, and that did not stop the run. */
export interface WarningEvent {
  readonly type: 'warning';
  readonly message: string;
}

/** A figure that was measured on the way: `value` is a ratio 0…1 for accuracies. */
export interface MetricEvent {
  readonly type: 'metric';
  readonly phase: Phase;
  readonly name: MetricName;
  readonly value: number;
  readonly on: 'train' | 'val' | 'test';
  readonly samples: number;
}

export type MetricName = 'accuracy' | 'cross-entropy' | 'binary-cross-entropy' | 'mean-squared-error' | 'agreement';

/** Everything that a library call tells its `onEvent`. */
export type CompressEvent = PhaseEvent | ProgressEvent | ChoiceEvent | WarningEvent | MetricEvent;

export type OnEvent = (event: CompressEvent) => void;
