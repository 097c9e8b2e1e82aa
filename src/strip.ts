import { CgesError } from './errors.js';
import { type OnnxFile, readModel } from './onnx/read.js';
import { writeModel } from './onnx/write.js';
import type { StripOptions } from './options.js';
import { checkOutput } from './output.js';
import { strip as stripModel } from './prune/strip.js';
import { fileFacts } from './report/files.js';
import { REPORT_SCHEMA_VERSION, type Report } from './report/schema.js';
import { resolveProvider } from './runtime/providers.js';
import { loadsOn } from './runtime/session.js';
import { defaultThreads } from './runtime/threads.js';
import { analyse } from './shape/analyse.js';
import { shapesByName } from './shape/inputShapes.js';
import { nameMatcher } from './shape/names.js';
import { measureModels } from './validate/measure.js';

/**
 * Removes from a model file what is already dead, without training: the outputs stay what they are, which is proved by
 * running both models. The output is written only then.
 */
export async function strip(options: StripOptions): Promise<Report> {
  const { input, output, force, keep, onEvent = () => {}, signal, seed = 0, threads = defaultThreads() } = options;
  const started = performance.now();
  const stopIfAsked = () => {
    if (signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped before the stripped model was written');
  };
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    onEvent({ type: 'warning', message });
  };

  onEvent({ type: 'phase', phase: 'inspect', message: `reading ${input}` });
  const original = readModel(input);
  await checkOutput(output, { input, force });
  const { provider } = await resolveProvider(options.provider ?? 'auto', loadsOn);
  const analysis = await analyse(original, { seed, inputShapes: shapesByName(original, options.inputShape) });
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'strip', message: 'removing dead units, and running both models' });
  const result = await stripModel(original, analysis, { seed, keep: keep && nameMatcher(keep) });
  if (result.unitsAfter === result.unitsBefore) warn('there are no dead units to remove');
  if (result.flushed > 0) warn(`${result.flushed} subnormal weights were set to zero: they make processors slow`);
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'measure', message: 'latency, interleaved; outputs on the same inputs' });
  const stripped: OnnxFile = { ...original, bytes: new Uint8Array(), model: result.model };
  const subjects = [
    { file: original, analysis },
    { file: stripped, analysis: await analyse(stripped, analysis.options) },
  ];
  const { facts } = await measureModels(subjects, { provider, threads, seed, against: 'before strip', signal });
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'write', message: output });
  const before = fileFacts(original);
  await writeModel(result.model, output, { folder: original.folder });
  const written = fileFacts(readModel(output));
  const after = { ...facts[1], bytes: written.bytes };
  return {
    schemaVersion: REPORT_SCHEMA_VERSION,
    command: 'strip',
    run: {
      engine: 'onnxruntime',
      provider,
      threads,
      seed,
      seconds: (performance.now() - started) / 1000,
      outcome: 'completed',
    },
    input: before,
    output: written,
    data: null,
    preprocessing: null,
    options: { keep: keep ?? [], force: force ?? false, inputShape: options.inputShape ?? null },
    before: facts[0],
    afterStrip: after,
    after,
    layers: result.families,
    choices: [],
    warnings,
  };
}
