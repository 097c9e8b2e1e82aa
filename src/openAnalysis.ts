import { readInputs } from './data/inputs.js';
import type { OpenedFile } from './onnx/open.js';
import type { OnnxFile } from './onnx/read.js';
import type { RunOptions } from './options.js';
import { type Analysis, analyse } from './shape/analyse.js';
import { storeWeights } from './shape/computedWeights.js';
import { freeInputs } from './shape/feeds.js';
import { shapesByName } from './shape/inputShapes.js';

/** Runs a model to learn its shapes, on the sample inputs and shapes that the user gave. */
export async function openAnalysis(
  file: OnnxFile,
  options: Pick<RunOptions, 'seed' | 'inputShape' | 'inputs'>,
): Promise<Analysis> {
  const { seed = 0, inputShape, inputs } = options;
  return analyse(file, {
    seed,
    inputShapes: shapesByName(file, inputShape),
    ...(inputs !== undefined && { samples: await readInputs(inputs, freeInputs(file.model.graph)) }),
  });
}

/**
 * Opens and analyses a model to cut it. Weights that it computes from other constants are stored as they come out: with
 * `every` all of them, else those whose channels could not be told.
 */
export async function openToCut(
  given: OpenedFile,
  options: Pick<RunOptions, 'seed' | 'inputShape' | 'inputs'>,
  { every = false }: { every?: boolean } = {},
): Promise<{ file: OpenedFile; analysis: Analysis }> {
  const analysis = await openAnalysis(given, options);
  const stored = storeWeights(given, analysis, { every });
  if (!stored) return { file: given, analysis };
  const [first] = stored.names;
  const count = stored.names.length;
  const what = count === 1 ? `the weight ${first}, which` : `${count} weights (${first}, …) that`;
  const note = `${what} the model computes from other constants ${count === 1 ? 'is' : 'are'} stored as computed`;
  const file = { ...stored.file, notes: [...given.notes, note] };
  return { file, analysis: await analyse(file, analysis.options) };
}
