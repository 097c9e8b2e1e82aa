import { CgesError } from './errors.js';
import { type OnnxFile, readModel } from './onnx/read.js';
import { openAnalysis } from './openAnalysis.js';
import type { CompareOptions } from './options.js';
import { fileFacts } from './report/files.js';
import {
  type DataFacts,
  type Drift,
  type FileFacts,
  type ModelFacts,
  type PreprocessingFacts,
  REPORT_SCHEMA_VERSION,
  type RunFacts,
} from './report/schema.js';
import { inferenceProvider } from './runtime/providers.js';
import { loadsOn } from './runtime/session.js';
import { defaultThreads } from './runtime/threads.js';
import { openSamples } from './samples.js';
import { freeInputs } from './shape/feeds.js';
import { measureModels } from './validate/measure.js';

/** Two models side by side, as `compare --json` writes it. */
export interface Comparison {
  readonly schemaVersion: typeof REPORT_SCHEMA_VERSION;
  readonly command: 'compare';
  readonly run: Omit<RunFacts, 'outcome'>;
  readonly a: FileFacts & ModelFacts;
  readonly b: FileFacts & ModelFacts;
  /** How many times smaller or faster b is; `latency` is the median of the ratios of interleaved runs. */
  readonly ratio: { readonly params: number; readonly macs: number; readonly bytes: number; readonly latency: number };
  /** Of b against a. */
  readonly drift: Drift;
  readonly data: DataFacts | null;
  readonly preprocessing: PreprocessingFacts | null;
  readonly warnings: readonly string[];
}

/** Holds two models against each other: what they hold and cost, how fast they are, how right, and how far apart. */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { onEvent = () => {}, signal, seed = 0, threads = defaultThreads() } = options;
  const started = performance.now();
  onEvent({ type: 'phase', phase: 'inspect', message: `reading ${options.a} and ${options.b}` });
  const provider = await inferenceProvider(options.provider ?? 'auto', loadsOn);
  const files = [readModel(options.a), readModel(options.b)] as const;
  requireSameInputs(...files);

  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    onEvent({ type: 'warning', message });
  };
  const analyses = await Promise.all(files.map((file) => openAnalysis(file, options)));
  const samples =
    options.data === undefined
      ? undefined
      : await openSamples(files[0], analyses[0], {
          ...options,
          data: options.data,
          warn,
          choose: (choice) => onEvent({ type: 'choice', ...choice }),
        });

  onEvent({ type: 'phase', phase: 'measure', message: 'latency, interleaved; outputs on the same inputs' });
  const { facts, speedup } = await measureModels(
    files.map((file, i) => ({ file, analysis: analyses[i] })),
    { provider, threads, seed, judging: samples && (samples.test ?? samples.val), signal },
  ).finally(() => samples?.close());
  const [a, b] = facts;
  return {
    schemaVersion: REPORT_SCHEMA_VERSION,
    command: 'compare',
    run: { engine: 'onnxruntime', provider, threads, seed, seconds: (performance.now() - started) / 1000 },
    a: { ...fileFacts(files[0]), ...a },
    b: { ...fileFacts(files[1]), ...b },
    ratio: {
      params: a.params / b.params,
      macs: a.macs / b.macs,
      bytes: a.bytes / b.bytes,
      latency: speedup[1],
    },
    drift: b.drift!,
    data: samples?.facts ?? null,
    preprocessing: samples?.preprocessing ?? null,
    warnings,
  };
}

function requireSameInputs(a: OnnxFile, b: OnnxFile): void {
  const [p, q] = [a, b].map((file) => freeInputs(file.model.graph).map((input) => input.name));
  if (p.length === q.length && p.every((name) => q.includes(name))) return;
  throw new CgesError('USAGE', `the models take different inputs: ${p.join(', ')} and ${q.join(', ')}`, {
    file: b.path,
    hint: 'only models with the same inputs can be compared',
  });
}
