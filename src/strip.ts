import { resolve } from 'node:path';
import { CgesError } from './errors.js';
import { openModel } from './onnx/open.js';
import { type OnnxFile, readModel } from './onnx/read.js';
import { inlineModel, writeModel } from './onnx/write.js';
import { openToCut } from './openAnalysis.js';
import type { StripOptions } from './options.js';
import { checkOutput } from './output.js';
import type { Feeds } from './prune/prove.js';
import { channelsOf, type StripResult, strip as stripModel } from './prune/strip.js';
import { unitsOf } from './prune/units.js';
import { drawUnits, zeroUnits } from './prune/zero.js';
import { fileFacts } from './report/files.js';
import { type ProofFacts, REPORT_SCHEMA_VERSION, type Report, type ZeroedFacts } from './report/schema.js';
import { inferenceProvider } from './runtime/providers.js';
import { loadsOn } from './runtime/session.js';
import { defaultThreads } from './runtime/threads.js';
import { type Analysis, analyse } from './shape/analyse.js';
import { makeFeeds } from './shape/feeds.js';
import { nameMatcher } from './shape/names.js';
import { measureModels } from './validate/measure.js';

/** Share of an output's magnitude by which the stripped model may differ where onnxruntime's own rounding is smaller. */
const TOLERANCE = 1e-4;

/**
 * Removes from a model file what is already dead, without training: the outputs stay what they are, which is proved by
 * running both models. The output is written only then. With `random`, units drawn by the seed are set to zero first.
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
  const opened = openModel(input);
  await checkOutput(output, { input, force });
  await checkZeroed(options);
  const provider = await inferenceProvider(options.provider ?? 'auto', loadsOn);
  const { file: given, analysis: seen } = await openToCut(opened, options);
  for (const note of given.notes) warn(note);
  stopIfAsked();
  const { original, analysis, zeroed } = await withZeros(given, seen, options);
  if (zeroed?.units === 0) warn('no units were set to zero: there are none to remove, or the share is too small');
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'strip', message: 'removing dead units, and running both models' });
  const result = await stripModel(original, analysis, {
    seed,
    keep: keep && nameMatcher(keep),
    tolerance: TOLERANCE,
    samples: options.inputs === undefined ? [] : [completed(analysis, seed)],
  });
  if (result.unitsAfter === result.unitsBefore) warn('there are no dead units to remove');
  const { plain, maxRelative } = result.drift;
  if (plain !== undefined) {
    const shares = [plain, maxRelative].map((share) => share.toExponential(1));
    warn(
      `as they are, both models agree to ${shares[0]}; as onnxruntime fuses them, it rounds otherwise: ${shares[1]}`,
    );
  }
  if (result.flushed > 0) warn(`${result.flushed} subnormal weights were set to zero: they make processors slow`);
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'measure', message: 'latency, interleaved; outputs on the same inputs' });
  const stripped: OnnxFile = { ...original, bytes: new Uint8Array(), model: result.model };
  const subjects = [
    zeroed || given === opened
      ? { file: original, analysis }
      : { file: opened, analysis: await analyse(opened, analysis.options) },
    { file: stripped, analysis: await analyse(stripped, analysis.options) },
  ];
  const { facts } = await measureModels(subjects, { provider, threads, seed, against: 'before strip', signal });
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'write', message: output });
  const before = fileFacts(opened);
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
    options: {
      keep: keep ?? [],
      force: force ?? false,
      inputShape: options.inputShape ?? null,
      inputs: options.inputs ?? null,
    },
    before: facts[0],
    afterStrip: after,
    after,
    layers: result.families,
    ...(zeroed && { zeroed }),
    proof: proofOf(result, options),
    choices: [],
    warnings,
  };
}

/** The zeroed model needs a place of its own, and zeros to hold. */
async function checkZeroed({ input, output, random, saveZeroed }: StripOptions): Promise<void> {
  if (random !== undefined && !(random > 0 && random <= 1)) {
    throw new CgesError('USAGE', `a share of ${random} of the units cannot be set to zero`, {
      hint: 'give a number above 0, up to 1',
    });
  }
  if (saveZeroed === undefined) return;
  if (random === undefined) {
    throw new CgesError('USAGE', 'there is no zeroed model to save without --random', { file: saveZeroed });
  }
  if (resolve(saveZeroed) === resolve(output)) {
    throw new CgesError('USAGE', 'the zeroed and the stripped model cannot be the same file', { file: output });
  }
  await checkOutput(saveZeroed, { input });
}

/** @returns the model to strip: as it was given, or with units that the seed chose set to zero. */
async function withZeros(
  given: OnnxFile,
  seen: Analysis,
  { random, saveZeroed, keep, seed = 0, onEvent = () => {} }: StripOptions,
): Promise<{ original: OnnxFile; analysis: Analysis; zeroed?: ZeroedFacts }> {
  if (random === undefined) return { original: given, analysis: seen };
  onEvent({ type: 'phase', phase: 'strip', message: `setting ${random * 100} % of the units of every family to zero` });
  const channels = channelsOf(seen, { keep: keep && nameMatcher(keep) });
  const { families } = unitsOf(channels);
  const { chosen, count } = drawUnits(families, random, seed);
  const model = zeroUnits(channels, families, chosen);
  if (saveZeroed !== undefined) await writeModel(model, saveZeroed, { folder: given.folder });
  // Sessions on a model with external data are opened by its path, which leads to the weights without zeros.
  const original = { ...given, bytes: new Uint8Array(), model: inlineModel(model, given.folder) };
  const of = families.reduce((sum, f) => sum + f.count, 0);
  return {
    original,
    analysis: await analyse(original, seen.options),
    zeroed: { ratio: random, units: count, of, path: saveZeroed ?? null },
  };
}

/** @returns the sample inputs, with drawn numbers for inputs that were not given. */
function completed({ inputs, sizes, options: { samples = {} } }: Analysis, seed: number): Feeds {
  const batched = inputs.find((i) => i.batchAxis !== undefined && samples[i.name]);
  const batch = batched ? samples[batched.name].dims[batched.batchAxis!] : 1;
  return makeFeeds(inputs, batch, sizes, seed + 2, samples);
}

function proofOf({ drift, batches }: StripResult, { inputs }: StripOptions): ProofFacts {
  const { maxAbsolute, maxRelative, rounding = null, allowed, differing, outputs } = drift;
  return {
    inputs: inputs === undefined ? 'drawn' : 'given',
    batches,
    outputs,
    maxAbsolute,
    maxRelative,
    rounding,
    allowed,
    differing,
  };
}
