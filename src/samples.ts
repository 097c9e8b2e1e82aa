import { chooseAugmentation } from './data/choose-augmentation.js';
import { choosePreprocessing } from './data/choose-preprocessing.js';
import type { Dataset } from './data/dataset.js';
import { drawnData } from './data/drawn.js';
import { openData } from './data/open.js';
import { checkLabels, type PreparedData, prepare } from './data/prepare.js';
import {
  asTheyAre,
  describe,
  isGiven,
  type ModelInput,
  type Preprocessing,
  preprocessingOf,
  withLayout,
} from './data/preprocessing.js';
import { split } from './data/split.js';
import { CgesError } from './errors.js';
import type { OnnxFile } from './onnx/read.js';
import type { AugmentName, DataOptions, LossName, RunOptions } from './options.js';
import type { ChoiceEvent } from './report/events.js';
import type { DataFacts, PreprocessingFacts } from './report/schema.js';
import type { Analysis } from './shape/analyse.js';
import type { Session } from './runtime/session.js';
import { evaluate } from './validate/accuracy.js';
import { classifies } from './validate/agreement.js';
import { type Judging, openJudged } from './validate/measure.js';
import { meaningOf, type OutputMeaning } from './validate/outputs.js';

/*
 * Comes in: a model and where its data lies. Goes out: samples made ready as this model wants them, parted into those to
 * train on, those to choose by and those to judge by. Nothing is trained here.
 */

export interface SamplesOptions extends DataOptions, Pick<RunOptions, 'threads' | 'seed'> {
  readonly data: string;
  readonly loss?: LossName;
  readonly augment?: AugmentName;
  readonly warn?: (message: string) => void;
  readonly choose?: (choice: Omit<ChoiceEvent, 'type'>) => void;
  readonly signal?: AbortSignal;
}

export interface Samples {
  /** The data has no labels: the input model, which this is, stands for them. */
  readonly like?: Session;
  readonly loss: LossName;
  /** To train on; `indices` leaves out what is kept for validation. */
  readonly train: { readonly data: PreparedData; readonly indices: Uint32Array };
  /** To choose by: never trained on. */
  readonly val: Judging;
  /** To judge by: never trained on, never used to choose anything. */
  readonly test?: Judging;
  readonly facts: DataFacts;
  readonly preprocessing: PreprocessingFacts & Preprocessing;
  /** Chooses the random changes of training samples, and says it. */
  augmentation(): Promise<AugmentName>;
  close(): Promise<void>;
}

/** Opens data for a model: its own validation and test parts where it has them, else a seeded tenth for validation. */
export async function openSamples(file: OnnxFile, analysis: Analysis, options: SamplesOptions): Promise<Samples> {
  requireSampleAxes(analysis);
  if (options.data === SYNTHETIC) return syntheticSamples(file, analysis, options);
  const { seed = 0, warn = () => {}, choose = () => {} } = options;
  const inputs = modelInputs(analysis);
  const output = meaningOf(file.model);
  const classes = classesOf(analysis, output);
  const open = {
    labelColumn: options.labelColumn,
    classes,
    inputs: inputs.map((i) => i.name),
    ...(inputs.length === 1 &&
      !inputs[0].shape.includes(null) && { features: inputs[0].shape.reduce<number>((n, d) => n * (d ?? 1), 1) }),
  };
  const found = await openData(options.data, open);
  for (const message of found.warnings) warn(message);
  for (const value of found.choices) choose({ what: 'data', value, why: 'read from the files' });
  const { train, test } = found;
  const parts = split(train.length, 0.1, seed, train.labels);
  const names = train.target?.kind === 'class' ? train.target.names : undefined;
  const given = options.val === undefined ? undefined : (await openData(options.val, { ...open, names })).train;
  if (classes !== undefined) for (const set of [train, given, test]) if (set) checkLabels(set, classes);
  const labelled = train.target !== undefined;
  if (!labelled) learnFromModel(choose, 'the data has no labels');
  if (!labelled && [given, test].some((set) => set?.target)) {
    warn('the samples to train on have no labels, so those of the others are not used');
  }
  const loss = options.loss ?? (labelled ? lossFor(train, classes) : lossLike(analysis, classes));
  if (options.loss === undefined) {
    choose({ what: 'loss', value: loss, why: labelled ? whyLoss(train, classes) : whyLike(loss) });
  }
  const trainable = given ? everyIndex(train.length) : parts.train;
  const preprocessing = labelled
    ? await preprocessingFor(file, train, inputs, trainable, loss, options)
    : unmeasured(train, options);
  const data = prepare(train, inputs, preprocessing);
  for (const value of data.choices) choose({ what: 'samples', value, why: 'the model takes them so' });
  const like = labelled ? undefined : (await openJudged(file, options)).session;
  const all = (set: Dataset, on: Judging['on']): Judging => ({
    data: prepare(set, inputs, preprocessing),
    indices: everyIndex(set.length),
    on,
    loss,
    like,
  });
  return {
    like,
    loss,
    train: { data, indices: trainable },
    val: given ? all(given, 'val') : { data, indices: parts.val, on: 'val', loss, like },
    test: test && all(test, 'test'),
    facts: {
      path: options.data,
      format: train.format,
      trainSamples: trainable.length,
      valSamples: given?.length ?? parts.val.length,
      testSamples: test?.length ?? null,
      targets: labelled ? 'data' : 'input model',
      ...(train.target?.kind === 'class' && { classes: train.target.classes }),
    },
    preprocessing: { ...preprocessing, description: describe(preprocessing) },
    async augmentation() {
      if (options.augment) return options.augment;
      if (!labelled) return plain(choose);
      const { session } = await openJudged(file, options);
      try {
        const accuracy = async (prepared: PreparedData, on: Uint32Array) =>
          (await evaluate(session, prepared, on, { loss, output, signal: options.signal })).accuracy ?? 0;
        const { policy, why } = await chooseAugmentation(train, inputs[0], {
          seed,
          indices: trainable,
          prepared: data,
          accuracy,
        });
        choose({ what: 'augment', value: policy, why });
        return policy;
      } finally {
        await session.close();
      }
    },
    close: async () => like?.close(),
  };
}

/** What `data` is where there is none: inputs are made up. */
export const SYNTHETIC = 'synthetic';

/** Samples that are drawn; a folder of this number of samples would be trained on alike. */
const DRAWN = 4096;

async function syntheticSamples(file: OnnxFile, analysis: Analysis, options: SamplesOptions): Promise<Samples> {
  const { seed = 0, warn = () => {}, choose = () => {} } = options;
  warn(
    'there is no data: the model is trained and judged on made-up inputs. Whatever is reported says nothing of real ones, on which the result may be useless. Real inputs will do without labels: --data PATH',
  );
  learnFromModel(choose, 'there is no data');
  const loss = options.loss ?? lossLike(analysis, classesOf(analysis, meaningOf(file.model)));
  if (options.loss === undefined) choose({ what: 'loss', value: loss, why: whyLike(loss) });
  const data = drawnData(analysis, DRAWN, seed);
  const parts = split(DRAWN, 0.1, seed);
  const { session: like } = await openJudged(file, options);
  return {
    like,
    loss,
    train: { data, indices: parts.train },
    val: { data, indices: parts.val, on: 'val', loss, like },
    facts: {
      path: SYNTHETIC,
      format: SYNTHETIC,
      trainSamples: parts.train.length,
      valSamples: parts.val.length,
      testSamples: null,
      targets: 'input model',
    },
    preprocessing: { ...asTheyAre, description: 'none: the inputs are drawn' },
    augmentation: async () => options.augment ?? plain(choose),
    close: () => like.close(),
  };
}

function learnFromModel(choose: NonNullable<SamplesOptions['choose']>, why: string): void {
  choose({ what: 'targets', value: 'answers of the input model', why: `${why}: learning from the input model` });
}

function plain(choose: NonNullable<SamplesOptions['choose']>): AugmentName {
  choose({ what: 'augment', value: 'none', why: 'without labels nothing shows which changes the model bears' });
  return 'none';
}

/** @returns the loss by which a model is learnt from: of classes only where it gives nothing but classes. */
function lossLike(analysis: Analysis, classes: number | undefined): LossName {
  if (!classifies(analysis)) return 'mean-squared-error';
  return classes === 1 ? 'binary-cross-entropy' : 'cross-entropy';
}

function whyLike(loss: LossName): string {
  return loss === 'mean-squared-error'
    ? 'all outputs of the input model are learnt as they are'
    : 'the classes and scores of the input model are learnt';
}

/** The preprocessing where no labels tell how right the model is under it. */
function unmeasured(train: Dataset, options: SamplesOptions): Preprocessing {
  const bytes = train.sample.some((part) => part.kind === 'image' && part.dtype === 'uint8');
  if (isGiven(options)) return preprocessingOf(options, bytes);
  if (bytes) {
    throw new CgesError('DATA_PREPROCESSING', 'without labels it cannot be measured how the model wants its pictures', {
      file: options.data,
      hint: 'say it: --scale 1/255, or --mean and --std, or --scale 1 for bytes as they are',
    });
  }
  options.warn?.(
    'the samples are taken as they are: without labels it cannot be measured whether the model wants them so. If it does not, say how with --mean, --std, --scale',
  );
  return withLayout(asTheyAre, options);
}

/** **Throws** DATA_SHAPE where a model of a literal batch has an input whose first axis counts something else: a state. */
function requireSampleAxes({ inputs, batch }: Analysis): void {
  if (batch.kind !== 'fixed') return;
  const other = inputs.find(
    ({ dims, batchAxis }) => batchAxis === undefined && typeof dims[0] === 'number' && dims[0] !== batch.size,
  );
  if (!other) return;
  throw new CgesError('DATA_SHAPE', `the first axis of input '${other.name}' [${other.dims}] does not count samples`, {
    value: other.name,
    hint: `the model takes ${batch.size} at a time, and this looks like a state that it is handed from run to run: it can be stripped, not trained`,
  });
}

/** @returns the inputs of a model as data sees them: per sample, `null` where a size is open. */
export function modelInputs({ inputs, batch, options }: Analysis): ModelInput[] {
  return inputs.map(({ name, dtype, dims, batchAxis }) => {
    const planned = batch.kind === 'rebatched' ? batch.inputs.find((i) => i.name === name)?.batchAxis : undefined;
    const given = options.inputShapes?.[name];
    const shape = dims.map((d, axis) => (typeof d === 'number' ? d : (given?.[axis] ?? null)));
    const at = batchAxis ?? planned ?? 0;
    return { name, dtype, shape: shape.filter((_, axis) => axis !== at) };
  });
}

/** @returns how many classes the scores tell apart (1 for a single yes or no), or undefined for a scalar output. */
function classesOf(analysis: Analysis, output: OutputMeaning): number | undefined {
  const shape = analysis.values.get(output.scores)?.shapes[0];
  return shape && shape.length >= 2 ? shape[1] : undefined;
}

function lossFor({ target }: Dataset, classes: number | undefined): LossName {
  if (target?.kind !== 'class') return 'mean-squared-error';
  return classes === 1 ? 'binary-cross-entropy' : 'cross-entropy';
}

function whyLoss({ target }: Dataset, classes: number | undefined): string {
  if (target?.kind !== 'class') return 'the targets are numbers';
  return classes === 1
    ? 'one output tells two classes apart'
    : `the labels are classes, the model has ${classes} outputs`;
}

async function preprocessingFor(
  file: OnnxFile,
  train: Dataset,
  inputs: readonly ModelInput[],
  indices: Uint32Array,
  loss: LossName,
  options: SamplesOptions,
): Promise<Preprocessing> {
  const picture = train.sample.find((part) => part.kind === 'image');
  if (isGiven(options)) return preprocessingOf(options, picture?.dtype === 'uint8');
  if (inputs.length !== 1) return withLayout(asTheyAre, options);
  const { session, output } = await openJudged(file, options);
  try {
    const judge = async (_: Preprocessing, data: PreparedData, on: Uint32Array) => {
      const { accuracy, loss: reached } = await evaluate(session, data, on, { loss, output, signal: options.signal });
      return { accuracy: accuracy ?? Number.NaN, loss: reached ?? Number.NaN };
    };
    const { seed, layout } = options;
    const { chosen, rival, nearChance, why } = await choosePreprocessing(train, inputs[0], judge, {
      seed,
      indices,
      layout,
    });
    if (nearChance) {
      throw new CgesError(
        'DATA_PREPROCESSING',
        'the model is near chance on the training samples under every common preprocessing',
        {
          file: options.data,
          hint: 'say how the model wants its inputs: --mean, --std, --scale, --layout; or check that labels and outputs have the same order',
        },
      );
    }
    options.choose?.({ what: 'preprocessing', value: describe(chosen), why });
    if (rival)
      options.warn?.(
        `the model does nearly as well with ${describe(rival)}: if that is how it is used, say so with --mean, --std, --scale`,
      );
    return chosen;
  } finally {
    await session.close();
  }
}

function everyIndex(length: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => i);
}
