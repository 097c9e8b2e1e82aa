import { CgesError } from '../errors.js';
import type { OnnxFile } from '../onnx/read.js';
import type { InputShapes } from '../options.js';
import { freeInputs } from './feeds.js';

/**
 * @returns given shapes by input name; one shape without a name is for the only input.
 *
 * **Throws** USAGE for shapes that belong to no input.
 */
export function shapesByName(
  file: OnnxFile,
  shapes: InputShapes | undefined,
): Record<string, readonly number[]> | undefined {
  if (shapes === undefined) return undefined;
  const inputs = freeInputs(file.model.graph);
  const place = { file: file.path };
  const known = `the model's inputs are ${inputs.map((i) => `${i.name} [${i.dims}]`).join(', ')}`;
  if (isOneShape(shapes) && inputs.length !== 1) {
    throw new CgesError('USAGE', `one shape for ${inputs.length} inputs`, {
      ...place,
      hint: `${known}: give NAME:SHAPE for each`,
    });
  }
  const named = isOneShape(shapes) ? { [inputs[0].name]: shapes } : { ...shapes };
  for (const [name, shape] of Object.entries(named)) {
    const input = inputs.find((i) => i.name === name);
    if (!input) throw new CgesError('USAGE', `there is no input named '${name}'`, { ...place, hint: known });
    const fits =
      shape.length === input.dims.length && input.dims.every((d, axis) => typeof d === 'string' || d === shape[axis]);
    if (!fits)
      throw new CgesError('USAGE', `the shape [${shape}] does not fit input ${name}`, {
        ...place,
        value: name,
        hint: known,
      });
  }
  return named;
}

function isOneShape(shapes: InputShapes): shapes is readonly number[] {
  return Array.isArray(shapes);
}
