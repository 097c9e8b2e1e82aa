import { CgesError } from '../errors.js';
import { decodeModel, type OnnxFile } from '../onnx/read.js';
import { encodeModel, writeModel } from '../onnx/write.js';
import { fileFacts } from '../report/files.js';
import { formatPercent } from '../report/format.js';
import { type LayerCut, REPORT_SCHEMA_VERSION, type Report, type RunFacts } from '../report/schema.js';
import { analyse } from '../shape/analyse.js';
import { measureModels } from '../validate/measure.js';
import type { Job } from './job.js';
import type { CutFacts } from './remove.js';
import type { Round } from './rounds.js';

/** Measures the model before, after the last strip and at the end side by side, writes it, and reports. */
export async function prove(job: Job, rounds: readonly Round[], outcome: RunFacts['outcome']): Promise<Report> {
  const { sparse, recovered } = rounds[rounds.length - 1];
  const { options, samples, network, seed } = job;
  const metric = samples.like ? 'agreement' : 'accuracy';
  job.tell({ type: 'phase', phase: 'validate', message: `${metric}, drift and latency, before against after` });
  const files = [job.given, asWritten(sparse.file), asWritten(recovered.file)];
  const subjects = await Promise.all(
    files.map(async (file) => ({ file, analysis: await analyse(file, job.analysis.options) })),
  );
  const { facts } = await measureModels(subjects, {
    threads: network.threads,
    seed,
    judging: samples.test ?? samples.val,
  });
  const [before, afterStrip, after] = facts;
  if (after.metric && !Number.isFinite(after.metric.value)) {
    throw new CgesError('VALIDATION_FAILED', `the ${after.metric.name} of the result is ${after.metric.value}`, {
      hint: 'try a smaller learning rate: --lr',
    });
  }
  if (samples.like) checkAgreement(job, after.metric?.value ?? 0);
  job.tell({ type: 'phase', phase: 'write', message: `writing ${options.output}` });
  // The output may take the place of the input.
  const input = fileFacts(job.given);
  await writeModel(recovered.file.model, options.output, { folder: job.file.folder });
  return {
    schemaVersion: REPORT_SCHEMA_VERSION,
    command: 'compress',
    run: {
      ...job.ran(),
      measuredOn: 'cpu',
      threads: network.threads,
      seed,
      seconds: (performance.now() - job.started) / 1000,
      outcome,
    },
    input,
    output: fileFacts({ ...files[2], path: options.output }),
    data: samples.facts,
    preprocessing: samples.preprocessing,
    options: used(job),
    before,
    afterStrip,
    after,
    layers: cutOf(rounds.flatMap((r) => r.sparse.cuts)),
    choices: job.choices,
    warnings: job.warnings,
  };
}

/** Agreement with the input model below which a result is none, and below which the user should think twice. */
const USELESS = 0.5;
const DOUBTFUL = 0.9;

/** Without labels nothing else shows that a result is no model any more. */
function checkAgreement({ tell }: Job, agreement: number): void {
  const what = `the result agrees with the input model by ${formatPercent(agreement)} only`;
  if (agreement < USELESS) {
    throw new CgesError('VALIDATION_FAILED', what, {
      hint: 'give more samples or more time, a smaller learning rate (--lr), or real samples in place of made-up ones',
    });
  }
  if (agreement < DOUBTFUL) tell({ type: 'warning', message: what });
}

/** @returns the model as a reader of the written file will find it. */
function asWritten(file: OnnxFile): OnnxFile {
  return { ...decodeModel(encodeModel(file.model)), path: file.path, folder: file.folder };
}

/** Joins the cuts of several strips: families keep their names from one to the next. */
function cutOf(strips: readonly CutFacts[]): LayerCut[] {
  const cuts = new Map<string, LayerCut>();
  for (const { families } of strips) {
    for (const { family, before, after } of families) {
      cuts.set(family, { family, before: cuts.get(family)?.before ?? before, after });
    }
  }
  return [...cuts.values()];
}

/** Every option as it was used. */
function used({ options, recipe, network, place, seed }: Job): Record<string, unknown> {
  const { signal: _signal, onEvent: _onEvent, ...given } = options;
  return {
    ...given,
    regularizer: options.regularizer ?? 'cges',
    grouping: options.grouping ?? 'channel',
    m: options.m ?? 0.2,
    seed,
    bn: network.batchNorm,
    batch: recipe.batch * recipe.microBatches,
    microBatches: recipe.microBatches,
    optimizer: recipe.optimizer,
    lr: recipe.sparsify.peakRate,
    epochs: recipe.sparsify.epochs,
    recoverEpochs: recipe.recover.epochs,
    threads: network.threads,
    ...place.now(),
    precision: network.precision,
  };
}
