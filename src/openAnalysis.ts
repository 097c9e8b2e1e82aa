import { readInputs } from './data/inputs.js';
import type { OpenedFile } from './onnx/open.js';
import type { OnnxFile } from './onnx/read.js';
import type { RunOptions } from './options.js';
import { type Analysis, analyse } from './shape/analyse.js';
import { withStoredWeights } from './shape/computedWeights.js';
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
  const { file, names, analysis } = await withStoredWeights(given, await openAnalysis(given, options), { every });
  const [first] = names;
  const count = names.length;
  if (count === 0) return { file: given, analysis };
  const what = count === 1 ? `the weight ${first}, which` : `${count} weights (${first}, …) that`;
  const note = `${what} the model computes from other constants ${count === 1 ? 'is' : 'are'} stored as computed`;
  return { file: { ...file, notes: [...given.notes, note] }, analysis };
}
