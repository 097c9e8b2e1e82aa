import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, int64, sizeOf } from '../tensor/tensor.js';

/** @returns `x` with the order along one axis reversed. */
export function reversed(g: GraphBuilder, x: Value, axis: number): Value {
  const list = (n: number) => g.constant(int64([1], [n]));
  const inputs = [x, list(-1), list(-x.shape[axis] - 1), list(axis), list(-1)];
  return g.emit('Slice', inputs, [{ dtype: x.dtype, shape: x.shape }])[0];
}

/** Rows up to here are spread by a matrix product; its work grows with their length. */
const LONGEST_ROW = 64;

/** @returns `x` with `step` − 1 zeros behind every index of an axis. */
export function spaced(g: GraphBuilder, x: Value, axis: number, step: number): Value {
  if (step === 1) return x;
  const size = x.shape[axis];
  const last = axis === x.shape.length - 1;
  if (g.engine.provider === 'cpu' && x.dtype === 'float32' && last && size <= LONGEST_ROW) {
    // onnxruntime pads single elements ten times slower than it multiplies rows of them.
    const places = new Float32Array(size * size * step);
    for (let i = 0; i < size; i++) places[i * size * step + i * step] = 1;
    const matrix = g.constant(float32([size, size * step], places), 'places');
    const rows = g.matMul(g.reshape(x, [sizeOf(x.shape) / size, size]), matrix);
    return g.reshape(rows, [...x.shape.slice(0, -1), size * step]);
  }
  const columns = g.unsqueeze(x, [axis + 1]);
  const wide = g.pad(columns, padsAt(columns.shape.length, axis + 1, 0, step - 1));
  return g.reshape(
    wide,
    x.shape.map((d, a) => (a === axis ? d * step : d)),
  );
}

/** @returns the pads of one axis as the operator Pad takes them; negative ones crop. */
export function padsAt(rank: number, axis: number, before: number, after: number): number[] {
  return Array.from({ length: 2 * rank }, (_, i) => (i === axis ? before : i === rank + axis ? after : 0));
}

/**
 * The adjoint of an operator that is linear along one axis: y = M·x with M of `matrix[i][j]` = weight of input `j` in
 * output `i`. @returns Mᵀ·dy along that axis.
 */
export function linearAdjoint(g: GraphBuilder, dy: Value, axis: number, matrix: readonly Float64Array[]): Value {
  const rank = dy.shape.length;
  const [outs, ins] = [matrix.length, matrix[0].length];
  const flat = matrix.flatMap((row) => [...row]);
  const data = dy.dtype === 'float64' ? Float64Array.from(flat) : Float32Array.from(flat);
  const m = g.constant({ dtype: dy.dtype, dims: [outs, ins], data });
  const last = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis);
  const perm = [...last, axis];
  const answer = g.matMul(g.reshape(g.transpose(dy, perm), [sizeOf(dy.shape) / outs, outs]), m);
  const turned = g.reshape(answer, [...last.map((i) => dy.shape[i]), ins]);
  return g.transpose(
    turned,
    perm.map((_, i) => perm.indexOf(i)),
  );
}
