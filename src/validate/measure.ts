import { tensorsFrom } from '../onnx/graph.js';
import type { OnnxFile } from '../onnx/read.js';
import { byteSizeOf, isExternal, tensorDims, tensorType } from '../onnx/tensors.js';
import { storedAt } from '../onnx/stored.js';
import { encodeModel } from '../onnx/write.js';
import type { LossName } from '../options.js';
import type { MetricName } from '../report/events.js';
import type { Drift, Metric, ModelFacts } from '../report/schema.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { openSession, type Session } from '../runtime/session.js';
import type { Analysis } from '../shape/analyse.js';
import { makeFeeds } from '../shape/feeds.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Evaluation, evaluate, type EvaluateOptions, type LabelledBatches, literalBatch } from './accuracy.js';
import { agreement } from './agreement.js';
import { measureDrift } from './drift.js';
import { compareLatency, type LatencyOptions } from './latency.js';
import { macsOf } from './macs.js';
import { meaningOf, type OutputMeaning, withOutputs } from './outputs.js';
import { paramsOf } from './params.js';

/*
 * Comes in: models that take the same inputs. Goes out: the facts of each, latencies measured against each other.
 * Nothing is trained and nothing is chosen here.
 */

/** A model to measure: its file or message, and what was read of it. */
export interface Subject {
  readonly file: OnnxFile;
  readonly analysis: Analysis;
}

/** Samples to judge models by. */
export interface Judging {
  readonly data: LabelledBatches;
  readonly indices: readonly number[] | Uint32Array;
  readonly on: Metric['on'];
  readonly loss: LossName;
  /** The model whose answers stand for labels, where the samples have none. */
  readonly like?: Session;
}

export interface MeasureOptions {
  readonly provider?: ConcreteProvider;
  readonly threads?: number;
  readonly seed?: number;
  /** Without it there is no metric, and drift is measured on drawn inputs. */
  readonly judging?: Judging;
  /** What the first subject is to the others. Default `input`. */
  readonly against?: Drift['against'];
  /** Samples that drift is measured on. Default 256. */
  readonly driftSamples?: number;
  readonly latency?: Pick<LatencyOptions, 'rounds' | 'seconds'>;
  readonly signal?: AbortSignal;
}

export interface Measurement {
  /** In the order of the subjects. */
  readonly facts: readonly ModelFacts[];
  /** Median over the rounds of the first subject's time by each one's own. */
  readonly speedup: readonly number[];
  /** What each model made of the samples; absent without `judging`. */
  readonly evaluations?: readonly Evaluation[];
}

const BATCH = 128;

/** Measures models side by side; drift is that against the first one. */
export async function measureModels(subjects: readonly Subject[], options: MeasureOptions = {}): Promise<Measurement> {
  const { judging, signal } = options;
  const { latencyMs, speedup } = await latencies(subjects, options);
  const evaluations: Evaluation[] = [];
  const drifts: (Drift | null)[] = [];
  const first = await openJudged(subjects[0].file, options);
  try {
    for (const [i, subject] of subjects.entries()) {
      const own = i === 0 ? first : await openJudged(subject.file, options);
      try {
        if (judging) {
          evaluations.push(await judge(own.session, judging, { output: own.output, batch: BATCH, signal }));
        }
        if (i === 0) drifts.push(null);
        else {
          const inputs = driftInputs(first.session, own.session, subjects[0].analysis, options);
          drifts.push(
            await measureDrift(first.session, own.session, inputs, {
              against: options.against ?? 'input',
              output: own.output,
              signal,
            }),
          );
        }
      } finally {
        if (i > 0) await own.session.close();
      }
    }
  } finally {
    await first.session.close();
  }
  const facts = subjects.map(({ file, analysis }, i): ModelFacts => ({
    params: paramsOf(file.model),
    macs: macsOf(analysis),
    bytes: bytesOf(file),
    latencyMs: latencyMs[i],
    metric: judging ? metricOf(evaluations[i], judging) : null,
    drift: drifts[i],
  }));
  return { facts, speedup, ...(judging && { evaluations }) };
}

/** Holds a model to the labels of samples, or to the model that stands for them. */
export function judge(
  session: Session,
  { data, indices, loss, like }: Judging,
  options: Omit<EvaluateOptions, 'loss'>,
): Promise<Evaluation> {
  return like
    ? agreement(session, like, data, indices, { ...options, loss })
    : evaluate(session, data, indices, { ...options, loss });
}

/** @returns facts of a single model. */
export async function measureModel(subject: Subject, options: MeasureOptions = {}): Promise<ModelFacts> {
  return (await measureModels([subject], options)).facts[0];
}

/** @returns the size of a model in bytes, external data included. */
export function bytesOf(file: OnnxFile): number {
  let bytes = storedAt(file.model)?.bytes ?? (file.bytes.length || encodeModel(file.model).length);
  for (const { tensor } of tensorsFrom(file.model)) {
    if (isExternal(tensor)) bytes += byteSizeOf(tensorType(tensor), tensorDims(tensor));
  }
  return bytes;
}

/** @returns accuracy where classes are predicted, else the loss; agreement where there are no labels. */
export function metricOf(evaluation: Evaluation, { on, loss, like }: Omit<Judging, 'data' | 'indices'>): Metric | null {
  const { samples } = evaluation;
  const name: MetricName = evaluation.accuracy === null ? loss : like ? 'agreement' : 'accuracy';
  const value = evaluation.accuracy ?? evaluation.loss;
  return value === null ? null : { name, value, on, samples };
}

/** @returns a session on a model whose predictions can be read with their margins. */
export async function openJudged(
  file: OnnxFile,
  options: Pick<MeasureOptions, 'provider' | 'threads'> = {},
): Promise<{ session: Session; output: OutputMeaning }> {
  const output = meaningOf(file.model);
  const model = withOutputs(file.model, [output.scores]);
  return { session: await open(file, model === file.model ? undefined : model, options), output };
}

/**
 * Opens a session on what `file` holds: its bytes, or its message where it has none. Only a model with external data is
 * loaded from its path, for a model that was made in memory bears the path that it came from.
 */
function open(
  file: OnnxFile,
  extended: OnnxFile['model'] | undefined,
  { provider, threads }: Pick<MeasureOptions, 'provider' | 'threads'>,
): Promise<Session> {
  const external = [...tensorsFrom(file.model)].some(({ tensor }) => isExternal(tensor));
  const given = extended ?? (file.bytes.length > 0 ? file.bytes : (storedAt(file.model)?.path ?? file.model));
  return openSession(external ? file.path : given, {
    provider,
    file: file.path || undefined,
    ...(threads !== undefined && { threads: { intraOp: threads } }),
  });
}

async function latencies(subjects: readonly Subject[], options: MeasureOptions) {
  const timed: { session: Session; feeds: Record<string, Tensor> }[] = [];
  try {
    for (const { file, analysis } of subjects) {
      const session = await open(file, undefined, options);
      timed.push({ session, feeds: await oneSample(session, analysis, options) });
    }
    return await compareLatency(timed, { ...options.latency, signal: options.signal });
  } finally {
    for (const { session } of timed) await session.close();
  }
}

/** Inputs at batch 1, or at the model's literal batch. */
async function oneSample(
  session: Session,
  analysis: Analysis,
  options: MeasureOptions,
): Promise<Record<string, Tensor>> {
  const batch = literalBatch(session) ?? (analysis.batch.kind === 'fixed' ? analysis.batch.size : 1);
  const { judging } = options;
  if (!judging) return drawn(analysis, batch, options.seed ?? 0);
  const index = judging.indices[0] ?? 0;
  return { ...(await judging.data.gather(new Array<number>(batch).fill(index))).inputs };
}

/** Batches that both models take: real samples where there are any. */
async function* driftInputs(a: Session, b: Session, analysis: Analysis, options: MeasureOptions) {
  const { judging, driftSamples = 256, seed = 0 } = options;
  const fixed = analysis.batch.kind === 'fixed' ? analysis.batch.size : undefined;
  const size = literalBatch(a) ?? literalBatch(b) ?? fixed ?? Math.min(32, driftSamples);
  const available = judging ? judging.indices.length : driftSamples;
  for (let start = 0; start + size <= Math.max(size, Math.min(available, driftSamples)); start += size) {
    if (!judging) yield drawn(analysis, size, seed + start + 1);
    else {
      const chosen = Array.from({ length: size }, (_, i) => judging.indices[(start + i) % available]);
      yield (await judging.data.gather(chosen)).inputs;
    }
  }
}

function drawn(analysis: Analysis, batch: number, seed: number): Record<string, Tensor> {
  return makeFeeds(analysis.inputs, batch, analysis.sizes, seed, analysis.options.samples);
}
