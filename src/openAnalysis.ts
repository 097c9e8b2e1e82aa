import { readInputs } from './data/inputs.js';
import type { OnnxFile } from './onnx/read.js';
import type { RunOptions } from './options.js';
import { type Analysis, analyse } from './shape/analyse.js';
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
