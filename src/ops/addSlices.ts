import type { GraphBuilder, Value } from '../onnx/builder.js';
import { int64, sizeOf, stridesOf } from '../tensor/tensor.js';

/**
 * Emits a tensor of zeros to whose slices `updates` are added: those at coordinates that occur more than once, all of them.
 * @param indices [n, k]: coordinates on the first k axes of `shape`
 * @param updates [n, …shape.slice(k)]
 *
 * Source: ONNX ScatterND-18 with reduction "add". onnxruntime's CPU kernel spreads the updates over its threads, which lose
 * some where places repeat (seen in 1.30); ScatterElements does not.
 */
export function addSlices(g: GraphBuilder, shape: readonly number[], indices: Value, updates: Value): Value {
  const [n, k] = indices.shape;
  const { dtype } = updates;
  const rest = shape.slice(k);
  if (g.engine.provider !== 'cpu') {
    const zeros = g.expand(g.scalar(0, dtype), shape);
    return g.emit('ScatterND', [zeros, indices, updates], [{ dtype, shape }], { reduction: 'add' })[0];
  }
  const flat = [sizeOf(shape.slice(0, k)), sizeOf(rest)];
  const zeros = g.expand(g.scalar(0, dtype), flat);
  const places = g.expand(rowsOf(g, indices, shape.slice(0, k)), [n, flat[1]]);
  const added = g.emit('ScatterElements', [zeros, places, g.reshape(updates, [n, flat[1]])], [{ dtype, shape: flat }], {
    axis: 0,
    reduction: 'add',
  })[0];
  return g.reshape(added, shape);
}

/** @returns [n, 1]: the number of the slice that coordinates [n, k] on axes of these sizes name. */
function rowsOf(g: GraphBuilder, indices: Value, sizes: readonly number[]): Value {
  if (sizes.length === 1) return indices;
  const shifted = g.add(indices, g.constant(int64([1, sizes.length], sizes), 'sizes'));
  const positive = g.where(g.less(indices, 0), shifted, indices);
  const steps = g.constant(int64([1, sizes.length], stridesOf(sizes)), 'steps');
  return g.reduceSum(g.mul(positive, steps), [1], true);
}
