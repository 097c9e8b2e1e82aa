/** Exit codes of the command line; the README's table is held to this one by a test. */
export const exitCodes = {
  ok: 0,
  bug: 1,
  usage: 2,
  model: 3,
  data: 4,
  untrainable: 5,
  diverged: 6,
  validation: 7,
  output: 8,
  provider: 9,
  interrupted: 130,
} as const;

export type ExitName = keyof typeof exitCodes;

/** Every error that a user can meet: its code, the exit code that it leads to, and what it means. */
export const catalogue = {
  USAGE: { exit: 'usage', meaning: 'the command or the options do not fit together' },
  MODEL_NOT_FOUND: { exit: 'model', meaning: 'there is no such model file' },
  MODEL_NOT_ONNX: { exit: 'model', meaning: 'the file is not an ONNX model' },
  MODEL_TRUNCATED: { exit: 'model', meaning: 'the file ends in the middle of a record' },
  MODEL_INVALID: { exit: 'model', meaning: 'the model breaks a rule of ONNX' },
  MODEL_EXTERNAL_DATA: {
    exit: 'model',
    meaning: "the model's external data is missing, too short or outside its folder",
  },
  MODEL_UNRUNNABLE: { exit: 'model', meaning: 'onnxruntime cannot load or run the model' },
  DATA_NOT_FOUND: { exit: 'data', meaning: 'there is no data at this path' },
  DATA_UNRECOGNISED: { exit: 'data', meaning: 'the data is in no known format' },
  DATA_INVALID: { exit: 'data', meaning: 'the data is damaged, empty or holds values that cannot be used' },
  DATA_SHAPE: { exit: 'data', meaning: 'the samples do not fit the inputs of the model' },
  DATA_LABELS: { exit: 'data', meaning: 'the labels do not fit the outputs of the model' },
  DATA_PREPROCESSING: {
    exit: 'data',
    meaning: 'the model is near chance under every common preprocessing, or without labels none was given for pictures',
  },
  NO_GRADIENT: { exit: 'untrainable', meaning: 'an operator between weights and loss has no gradient' },
  NOTHING_TO_TRAIN: { exit: 'untrainable', meaning: 'no weight reaches a float output' },
  DIVERGED: { exit: 'diverged', meaning: 'the loss became infinite or not a number' },
  VALIDATION_FAILED: {
    exit: 'validation',
    meaning: 'the stripped model does not agree with the model it was cut from, or the result with the input model',
  },
  GRADIENT_WRONG: {
    exit: 'validation',
    meaning: 'compiled gradients differ from the reference or from central differences, or nothing could be compared',
  },
  OUTPUT_UNWRITABLE: { exit: 'output', meaning: 'the output cannot be written' },
  PROVIDER_UNAVAILABLE: { exit: 'provider', meaning: 'the execution provider that was asked for cannot be used' },
  DEVICE_LOST: { exit: 'provider', meaning: 'the device failed, was lost or gave no answer in the middle of training' },
  CHECKPOINT_INVALID: { exit: 'usage', meaning: 'the checkpoint is damaged or belongs to another run' },
  INTERRUPTED: { exit: 'interrupted', meaning: 'stopped by the user before there was a valid model' },
} as const satisfies Record<string, { exit: ExitName; meaning: string }>;

export type ErrorCode = keyof typeof catalogue;

/** Where in the user's files an error lies. */
export interface Place {
  file?: string;
  node?: string;
  op?: string;
  value?: string;
}

/** The one error class that users see: what happened in the model's own words, and what to do about it. */
export class CgesError extends Error {
  readonly code: ErrorCode;
  readonly place: Place;
  readonly hint?: string;

  constructor(code: ErrorCode, what: string, more: Place & { hint?: string; cause?: unknown } = {}) {
    const { hint, cause, ...place } = more;
    super(what, cause === undefined ? undefined : { cause });
    this.name = 'CgesError';
    this.code = code;
    this.place = place;
    this.hint = hint;
  }

  get exitCode(): number {
    return exitCodes[catalogue[this.code].exit];
  }
}

/** Whether an error is ours, of this kind. */
export function hasCode(error: unknown, code: ErrorCode): error is CgesError {
  return error instanceof CgesError && error.code === code;
}
