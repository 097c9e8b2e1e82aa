import type { ModelProto } from '../onnx/proto.js';
import type { ZeroPoint } from '../ops/spec.js';
import { Random } from '../tensor/random.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { Channels } from './channels.js';
import { copyOf } from './contents.js';
import { copyGraph } from '../onnx/copy.js';
import { Contents } from './cutContents.js';
import type { UnitFamily } from './units.js';
import { zeroAt, zeroPointsOf } from './zeroPoints.js';

/**
 * Sets all that makes the chosen units to zero: weights, biases, scales and shifts. Quantised ones are set to their zero
 * points.
 * @param chosen tells for unit `index` of a family.
 * @returns a new model, in which these units are dead by their producers.
 */
export function zeroUnits(
  channels: Channels,
  families: readonly UnitFamily[],
  chosen: (family: UnitFamily, index: number) => boolean,
): ModelProto {
  const graph = copyGraph(channels.source.model.graph);
  const contents = new Contents(channels, graph);
  const zeroPoints = zeroPointsOf(channels);
  for (const family of families) {
    for (const { parameter, axis, map } of family.parts) {
      const indices = [...map].flatMap((unit, i) => (unit >= 0 && chosen(family, unit) ? [i] : []));
      if (indices.length === 0) continue;
      contents.put(parameter, zeroed(contents.of(parameter), axis, indices, zeroPoints.get(parameter)));
    }
  }
  contents.write();
  const { source } = channels;
  const model = { ...source.model, graph };
  return source.restored?.(model) ?? model;
}

/**
 * Draws the same share of the units of every family.
 * @param ratio 0 … 1, rounded to whole units family by family
 */
export function drawUnits(
  families: readonly UnitFamily[],
  ratio: number,
  seed: number,
): { readonly chosen: (family: UnitFamily, index: number) => boolean; readonly count: number } {
  const drawn = new Map(
    families.map((family, i) => [
      family,
      new Set(
        Random.stream(seed, i)
          .permutation(family.count)
          .subarray(0, Math.round(ratio * family.count)),
      ),
    ]),
  );
  return {
    chosen: (family, index) => drawn.get(family)?.has(index) ?? false,
    count: [...drawn.values()].reduce((sum, set) => sum + set.size, 0),
  };
}

function zeroed(tensor: Tensor, axis: number, indices: readonly number[], zero?: ZeroPoint): Tensor {
  const copy = copyOf(tensor);
  const inner = sizeOf(tensor.dims.slice(axis + 1));
  const outer = sizeOf(tensor.dims.slice(0, axis));
  const data = copy.data as Float32Array;
  const at = zero && zeroAt(zero, tensor.dims);
  for (let o = 0; o < outer; o++) {
    for (const i of indices) {
      const from = (o * tensor.dims[axis] + i) * inner;
      if (at) for (let e = from; e < from + inner; e++) data[e] = at(e);
      else data.fill(0, from, from + inner);
    }
  }
  return copy;
}
