import { existsSync } from 'node:fs';
import { CgesError } from '../errors.js';
import type { OnnxFile } from '../onnx/read.js';
import { openModel } from '../onnx/open.js';
import { openToCut } from '../openAnalysis.js';
import type { CompressOptions } from '../options.js';
import { checkOutput } from '../output.js';
import type { CompressEvent } from '../report/events.js';
import type { Choice, RunFacts } from '../report/schema.js';
import { defaultThreads } from '../runtime/threads.js';
import { openSamples, type Samples, SYNTHETIC } from '../samples.js';
import type { Analysis } from '../shape/analyse.js';
import { type TrainingGraph, trainingGraph } from '../shape/normalise.js';
import { float32Feeds } from '../shape/training-model.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Matched } from '../train/loss.js';
import { matchedOutputs } from '../train/match.js';
import type { NetworkOptions } from '../train/network.js';
import { requirePrecision } from '../train/precision.js';
import { chooseRecipe, type Recipe } from '../train/recipe.js';
import type { SourceOptions } from '../train/source.js';
import type { Teacher } from '../train/teacher.js';
import { meaningOf, type OutputMeaning } from '../validate/outputs.js';
import { type Keeper, openKeeper } from './keeper.js';
import { choosePlace, type Place } from './place.js';
import { openPlacedTeacher } from './placedTeacher.js';

type Ran = Pick<RunFacts, 'engine' | 'provider' | 'samplesPerSecond'>;

/** All that is settled before training begins. */
export interface Job {
  readonly options: CompressOptions;
  readonly seed: number;
  readonly started: number;
  /** The model as it is in the file, and as it is worked on. */
  readonly given: OnnxFile;
  readonly file: OnnxFile;
  readonly analysis: Analysis;
  readonly samples: Samples;
  readonly meaning: OutputMeaning;
  readonly recipe: Recipe;
  readonly network: Omit<NetworkOptions, 'optimizer' | 'sparsity' | 'engine' | 'provider'>;
  readonly place: Place;
  readonly sourceOptions: SourceOptions;
  /** The user asked for this augmentation: it is not left out anywhere. */
  readonly augmentGiven: boolean;
  /** Moments (performance.now) at which the phases have to end; absent without a time budget. */
  readonly deadlines: { readonly sparsify?: number; readonly recover?: number };
  readonly choices: readonly Choice[];
  readonly warnings: readonly string[];
  /** Saves the job where a checkpoint folder was given. */
  readonly keeper?: Keeper;
  tell(event: CompressEvent): void;
  /** @returns what training steps were executed by, and how fast. */
  ran(): Ran;
  /** Told how long training steps took. */
  onSteps(steps: number, seconds: number): void;
  /** @returns the input model as the teacher of what is left of it, loaded once; absent where it can teach nothing. */
  teacher?(): Promise<Teacher>;
  close(): Promise<void>;
  /** @returns batches of training samples by input name, to prove strips by. */
  realSamples(): Promise<Record<string, Tensor>[]>;
}

/** Shares of the time budget at which the phases end; the rest is for proving and writing. */
const BUDGET = { sparsify: 0.55, recover: 0.92 } as const;
/** Samples that every strip is proved on, besides the probes. */
const PROVED_ON = 64;

/** Reads the model and the data and settles every choice that the options leave open. */
export async function openJob(options: CompressOptions): Promise<Job> {
  const started = performance.now();
  const { seed = 0, onEvent = () => {}, timeBudget, threads = defaultThreads(), precision = 'fp32' } = options;
  const choices: Choice[] = [];
  const warnings: string[] = [];
  const tell = (event: CompressEvent) => {
    if (event.type === 'choice') choices.push({ what: event.what, value: event.value, why: event.why });
    if (event.type === 'warning') warnings.push(event.message);
    onEvent(event);
  };
  const choose = (choice: Choice) => tell({ type: 'choice', ...choice });
  const warn = (message: string) => tell({ type: 'warning', message });

  tell({ type: 'phase', phase: 'inspect', message: `reading ${options.input}` });
  await checkOutput(options.output, options);
  if (options.data === undefined) {
    throw new CgesError('USAGE', 'there is no data to train on', {
      hint: 'give --data PATH: IDX, CIFAR, a folder of images, CSV, NPY or NPZ, with labels or without; --data synthetic makes inputs up',
    });
  }
  const given = openModel(options.input);
  const { file, analysis } = await openToCut(given, options, { every: true });
  for (const note of file.notes) choose({ what: 'model', value: note, why: 'channels and gradients need their nodes' });
  const place = await choosePlace(options, threads, { choose, warn });
  await requirePrecision(precision, place.now());
  let ran: Ran = place.now();
  const taken = { steps: 0, seconds: 0 };
  const meaning = meaningOf(file.model);

  tell({ type: 'phase', phase: 'measure', message: `reading ${options.data}` });
  const samples = await openSamples(file, analysis, { ...options, data: options.data, seed, threads, choose, warn });
  const augment = await samples.augmentation();

  const hasBatchNorm = analysis.channelNodes().some((n) => n.op === 'BatchNormalization');
  const matching = samples.like !== undefined && samples.loss === 'mean-squared-error';
  const stored = matching || options.data === SYNTHETIC;
  const batchNorm = options.bn ?? (stored ? 'frozen' : 'live');
  if (hasBatchNorm && stored && options.bn === undefined) {
    const why = matching
      ? 'the outputs to be learnt were made with the stored statistics'
      : 'made-up inputs must not replace the statistics of real ones';
    choose({ what: 'bn', value: 'frozen', why });
  }
  const fixedBatch = analysis.batch.kind === 'fixed' ? (analysis.inputs[0].shape[0] ?? 1) : undefined;
  const recipe = chooseRecipe(
    {
      trainSamples: samples.train.indices.length,
      liveBatchNorm: hasBatchNorm && batchNorm === 'live',
      matching,
      fixedBatch,
    },
    options,
  );
  for (const choice of recipe.why) choose(choice);
  const { freeze, train, keep } = options;
  const probe = await trainingGraph(file, analysis, recipe.batch, { freeze, train });
  const output = matching ? 0 : probe.outputs.findIndex((o) => o.of.includes(meaning.name));
  if (output < 0)
    throw new CgesError('NOTHING_TO_TRAIN', `no weight reaches the output ${meaning.name}`, {
      file: file.path,
      value: meaning.name,
    });
  for (const note of probe.notes) choose({ what: 'training graph', value: note, why: 'gradients need it' });

  const own = `${options.output}.checkpoint`;
  const folder = options.checkpoint ?? (place.mayBeLost || existsSync(own) ? own : undefined);
  const keeper =
    folder === undefined ? undefined : openKeeper(folder, given, options, options.checkpoint === undefined);
  if (keeper?.from) {
    const { round, phase } = keeper.from.position;
    choose({
      what: 'checkpoint',
      value: `going on in round ${round}, ${phase}`,
      why: `found in ${folder}`,
    });
  }
  let opened: Promise<Teacher> | undefined;
  const outputs = matching ? probe.outputs.map((_, k) => k) : [output];
  const teacher = () =>
    (opened ??= openPlacedTeacher(probe, { loss: samples.loss, outputs, threads }, place, () =>
      inputsOf(samples, probe),
    ));
  const matched = matching ? await matchedOn(samples, probe, await teacher()) : undefined;
  const at = (share: number) => (timeBudget === undefined ? undefined : started + timeBudget * share * 1000);
  return {
    options: { ...options, augment, loss: samples.loss },
    seed,
    started,
    given,
    file,
    analysis,
    samples,
    meaning,
    recipe,
    network: {
      loss: samples.loss,
      output,
      matched,
      batch: recipe.batch,
      microBatches: recipe.microBatches,
      batchNorm,
      freeze,
      train,
      keep,
      threads,
      precision,
      onRun({ engine, provider }) {
        if (engine !== ran.engine || provider !== ran.provider) Object.assign(taken, { steps: 0, seconds: 0 });
        ran = { engine, provider };
      },
    },
    place,
    ran() {
      const { steps, seconds } = taken;
      const samples = steps * recipe.batch * recipe.microBatches;
      return { ...ran, ...(seconds > 0 && { samplesPerSecond: samples / seconds }) };
    },
    onSteps(steps, seconds) {
      taken.steps += steps;
      taken.seconds += seconds;
    },
    sourceOptions: {
      samples: samples.train.data,
      indices: samples.train.indices,
      batch: recipe.batch,
      microBatches: recipe.microBatches,
      augment,
      seed,
      matched,
    },
    augmentGiven: options.augment !== undefined,
    deadlines: { sparsify: at(BUDGET.sparsify), recover: at(BUDGET.recover) },
    choices,
    warnings,
    keeper,
    tell,
    ...((samples.like || samples.loss !== 'mean-squared-error') && { teacher }),
    async close() {
      await (await opened)?.close();
      await samples.close();
    },
    async realSamples() {
      const indices = samples.train.indices.subarray(0, PROVED_ON);
      // The user's own model is run: one that was exported with a literal batch takes no other, even if training does.
      const size = analysis.batch.kind === 'free' ? indices.length : (analysis.inputs[0].shape[0] ?? 1);
      const batches: Record<string, Tensor>[] = [];
      for (let from = 0; from + size <= indices.length; from += size) {
        batches.push({ ...(await samples.train.data.gather(indices.subarray(from, from + size))).inputs });
      }
      return batches;
    },
  };
}

/** Samples by which the outputs that are matched are weighed against each other. */
const WEIGHED_ON = 256;

async function matchedOn(samples: Samples, graph: TrainingGraph, teacher: Teacher): Promise<Matched[]> {
  const batches = Math.max(1, Math.floor(Math.min(WEIGHED_ON, samples.train.indices.length) / graph.batch));
  const inputs = await inputsOf(samples, graph, batches);
  return matchedOutputs(graph.outputs, await teacher.scores(inputs, batches * graph.batch));
}

/** @returns the inputs of the first batches of training samples. */
async function inputsOf({ train }: Samples, { batch }: TrainingGraph, batches = 1): Promise<Record<string, Tensor>> {
  const { data, indices } = train;
  const chosen = Array.from({ length: batches * batch }, (_, i) => indices[i % indices.length]);
  return float32Feeds((await data.gather(chosen)).inputs);
}
