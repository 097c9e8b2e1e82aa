import type { OnEvent } from './report/events.js';
import type { Provider } from './runtime/providers.js';

export const lossNames = ['cross-entropy', 'binary-cross-entropy', 'mean-squared-error'] as const;
export const regularizerNames = ['cges', 'gs', 'es', 'sgl', 'l1', 'l2', 'none'] as const;
export const groupingNames = ['channel', 'reference'] as const;
export const augmentNames = ['none', 'flip', 'crop-flip', 'shift'] as const;
export const layoutNames = ['nchw', 'nhwc', 'nchw-bgr', 'nhwc-bgr'] as const;
export const engineNames = ['auto', 'onnxruntime', 'tfjs'] as const;
export const optimizerNames = ['sgd', 'adam', 'adamw'] as const;
export const precisionNames = ['fp32', 'fp16'] as const;

export type LossName = (typeof lossNames)[number];
export type RegularizerName = (typeof regularizerNames)[number];
export type GroupingName = (typeof groupingNames)[number];
export type AugmentName = (typeof augmentNames)[number];
export type LayoutName = (typeof layoutNames)[number];
export type EngineName = (typeof engineNames)[number];
export type OptimizerName = (typeof optimizerNames)[number];
export type PrecisionName = (typeof precisionNames)[number];

/** Shapes of inputs whose free axes the data does not bind: one for the only input, or by input name. */
export type InputShapes = readonly number[] | Readonly<Record<string, readonly number[]>>;

/** What every library call takes. */
export interface CallOptions {
  /** Aborting ends the work at the next safe point; a training run then keeps the best valid model so far. */
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/** How models are run. */
export interface RunOptions {
  /** Threads of onnxruntime. Default: as many as this process may use processors. */
  readonly threads?: number;
  /** Default `auto`: the fastest one that passes its self-test on this machine. */
  readonly provider?: Provider;
  /** Start of every random stream. Same input, seed, provider and thread count: same bytes out. Default 0. */
  readonly seed?: number;
  readonly inputShape?: InputShapes;
  /** An NPZ file of sample inputs, arrays named like the model's inputs: for models that drawn numbers don't suit. */
  readonly inputs?: string;
}

/** Where samples come from and how they become inputs. */
export interface DataOptions {
  /**
   * A file or folder in one of the known formats (IDX, CIFAR binary, folder of images, CSV, NPY/NPZ). Where it has no labels
   * the answers of the input model stand for them. `synthetic`: inputs are made up.
   */
  readonly data?: string;
  /** Samples to judge by, in the same format. Default: a seeded 10 % of `data`, never trained on. */
  readonly val?: string;
  /** The column of a CSV file that holds the label: its name, or its number from 0 (negative: from the end). */
  readonly labelColumn?: string | number;
  /** Preprocessing: x·scale, then (x − mean)/std per channel. Default: the best of the common ones, and said. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly scale?: number;
  /** Order of axes that the model wants, and of colours if blue comes first. Default: read from the input's shape. */
  readonly layout?: LayoutName;
}

/** The options of `compress()`, the whole job. Everything but `input`, `output` and `data` has a default. */
export interface CompressOptions extends CallOptions, RunOptions, DataOptions {
  readonly input: string;
  /** Written atomically, and only when validation passed; an existing file is replaced. */
  readonly output: string;
  /** Lets `output` be the same file as `input`. Default: refused. */
  readonly force?: boolean;
  /** Random changes of training samples. Default: chosen from the data, and said. */
  readonly augment?: AugmentName;
  /** Default: chosen from the outputs and labels, and said. */
  readonly loss?: LossName;
  /** BatchNormalization with batch statistics (`live`) or the stored ones (`frozen`). Default: `live` where there is any. */
  readonly bn?: 'live' | 'frozen';
  /** Name patterns (globs) of weights that stay as they are. */
  readonly freeze?: readonly string[];
  /** Name patterns of constants to train although no rule takes them for weights. */
  readonly train?: readonly string[];
  /** Name patterns of weights, values or nodes whose channels are never cut. */
  readonly keep?: readonly string[];
  /** Default `cges`. `none` fine-tunes without sparsity. */
  readonly regularizer?: RegularizerName;
  /** `channel` (default): groups are whole removable units. `reference`: the groups of the paper's code. */
  readonly grouping?: GroupingName;
  /** Strength of the regularizer. Default: chosen for the optimizer and the grouping. */
  readonly lambda?: number;
  /** The paper's balance between group and exclusive sparsity over depth, 0 … 0.5. Default 0.2. */
  readonly m?: number;
  /** Epochs with sparsity, and epochs of recovery after the strip. Default: chosen from the size of the data. */
  readonly epochs?: number;
  readonly recoverEpochs?: number;
  /** Wall-clock limit in seconds: the run ends by then with the best valid model. Default: none. */
  readonly timeBudget?: number;
  readonly batch?: number;
  /**
   * What executes training steps; models are judged by onnxruntime in any case. Default `auto`: onnxruntime, or
   * TensorFlow.js where it is installed, no provider of onnxruntime reaches a device, and it takes a step of the model in less time.
   */
  readonly engine?: EngineName;
  /**
   * `fp16`: products of training steps in half precision, weights and all else in float32, with a loss scale; on a GPU
   * provider. Default `fp32`.
   */
  readonly precision?: PrecisionName;
  readonly optimizer?: OptimizerName;
  readonly lr?: number;
  /** A folder: the state is saved there, and a run with the same options continues from it. */
  readonly checkpoint?: string;
  /** Seconds between two saves of the state. Default 30. */
  readonly checkpointSeconds?: number;
}

/** The options of `strip()`: removes what is already dead, without training. */
export interface StripOptions extends CallOptions, RunOptions {
  readonly input: string;
  readonly output: string;
  readonly force?: boolean;
  /** Name patterns of weights, values or nodes whose channels are never cut. */
  readonly keep?: readonly string[];
  /** Sets this share (0 … 1) of the units of every removable family to zero first, drawn by the seed: a self-test. */
  readonly random?: number;
  /** With `random`: the model with these zeros is written here as well, before it is stripped. */
  readonly saveZeroed?: string;
}

/** The options of `compare()`. */
export interface CompareOptions extends CallOptions, RunOptions, DataOptions {
  readonly a: string;
  readonly b: string;
}

/** The options of `checkGradients()`. */
export interface CheckGradientsOptions extends CallOptions, Pick<RunOptions, 'inputShape' | 'inputs' | 'seed'> {
  readonly input: string;
  /** A JSON file of inputs and the gradients that they must give. Without it central differences are taken. */
  readonly reference?: string;
  /** Name patterns of constants to train although no rule takes them for weights. */
  readonly train?: readonly string[];
}

/** The options of `inspect()`. */
export interface InspectOptions extends CallOptions, Pick<RunOptions, 'inputShape' | 'inputs' | 'seed'> {
  readonly input: string;
  readonly freeze?: readonly string[];
  readonly train?: readonly string[];
  readonly keep?: readonly string[];
}
