import type { ChoiceEvent, MetricName } from './events.js';

/** Grows whenever a field of the report is renamed, removed or changes its meaning; new fields leave it as it is. */
export const REPORT_SCHEMA_VERSION = 1;

/** The facts of one run, as `--json` writes them. Ratios are 0…1, times in the unit that the name tells. */
export interface Report {
  readonly schemaVersion: typeof REPORT_SCHEMA_VERSION;
  readonly command: 'compress' | 'strip';
  readonly run: RunFacts;
  readonly input: FileFacts;
  /** `null` where nothing was written. */
  readonly output: FileFacts | null;
  readonly data: DataFacts | null;
  readonly preprocessing: PreprocessingFacts | null;
  /** Every option as it was used, defaults and choices filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly before: ModelFacts;
  /** Right after the last removal of units, before recovery. */
  readonly afterStrip: ModelFacts;
  readonly after: ModelFacts;
  readonly layers: readonly LayerCut[];
  /** What `strip` was asked to set to zero before it began. */
  readonly zeroed?: ZeroedFacts;
  /** What `strip` compared before it wrote anything. */
  readonly proof?: ProofFacts;
  readonly choices: readonly Choice[];
  readonly warnings: readonly string[];
}

/** What really ran: not what was asked for. */
export interface RunFacts {
  readonly engine: string;
  readonly provider: string;
  /** Where accuracy, drift and latency were measured, if not there. */
  readonly measuredOn?: string;
  /** Speed of training steps in the engine; absent where nothing was trained. */
  readonly samplesPerSecond?: number;
  readonly threads: number;
  readonly seed: number;
  readonly seconds: number;
  readonly outcome: 'completed' | 'time budget' | 'interrupted';
}

export interface FileFacts {
  readonly path: string;
  /** Size of the model, external data included. */
  readonly bytes: number;
  /** Of the `.onnx` file itself. */
  readonly sha256: string;
}

export interface DataFacts {
  readonly path: string;
  readonly format: string;
  readonly trainSamples: number;
  readonly valSamples: number;
  /** `null` where the data has no test part. */
  readonly testSamples: number | null;
  /** What the model is held to: targets of the data, or where it has none the answers of the input model. */
  readonly targets: 'data' | 'input model';
  readonly classes?: number;
}

/** How raw samples become inputs: x·scale, then (x − mean) / std, per channel where lists are longer than one. */
export interface PreprocessingFacts {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly layout: string;
  readonly [more: string]: unknown;
}

export interface Latency {
  readonly p50: number;
  readonly p95: number;
}

/** `agreement` is that with the input model (of `compare`: the first one), where the data has no labels. */
export interface Metric {
  readonly name: MetricName;
  readonly value: number;
  readonly on: 'val' | 'test';
  readonly samples: number;
}

/** How far the outputs of two models lie apart on the same samples. */
export interface Drift {
  /** The model that this one is compared with: the input file, or the same model with its dead units still in it. */
  readonly against: 'input' | 'before strip';
  readonly samples: number;
  /** Largest |a − b|, and the largest |a − b| as a share of the largest |a| of the same output. */
  readonly maxAbsolute: number;
  readonly maxRelative: number;
  /** Share of samples with the same prediction; `null` for outputs that predict no class. */
  readonly agreement: number | null;
  /** Predictions that differ, and those of them whose margin is wider than ten times the drift: none after a strip. */
  readonly differing: number;
  readonly unexplained: number;
}

/** Units that were drawn and set to zero. */
export interface ZeroedFacts {
  /** The share that was asked for, and the units that this came to. */
  readonly ratio: number;
  readonly units: number;
  readonly of: number;
  /** Where the zeroed model was written. */
  readonly path: string | null;
}

/** How the stripped model was held against the model that it was cut from. */
export interface ProofFacts {
  readonly inputs: 'drawn' | 'given';
  /** The batch of each run. */
  readonly batches: readonly number[];
  /** Outputs of floats; shares are of the largest value of the output. */
  readonly outputs: readonly string[];
  readonly maxAbsolute: number;
  readonly maxRelative: number;
  /** What onnxruntime's own graph optimisations change (`null`: not looked at, all agrees), and how much was allowed. */
  readonly rounding: number | null;
  readonly allowed: number;
  /** Elements of whole-number outputs that differ. */
  readonly differing: number;
}

/** One column of the final table. */
export interface ModelFacts {
  readonly params: number;
  readonly macs: number;
  readonly bytes: number;
  readonly latencyMs: Latency;
  /** `null` without data. */
  readonly metric: Metric | null;
  /** `null` for the model that others are compared with. */
  readonly drift: Drift | null;
}

/** What became of one family of units (the channels of one layer, or of several that are tied together). */
export interface LayerCut {
  /** The nodes that produce the family's channels. */
  readonly family: string;
  readonly before: number;
  readonly after: number;
}

export type Choice = Omit<ChoiceEvent, 'type'>;
