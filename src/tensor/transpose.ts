import { blank, type Numbers, sizeOf, stridesOf, type Tensor } from './tensor.js';

/** Elements of a side of the squares that are moved at a time, so that what is read and written stays in the cache. */
const TILE = 32;

/**
 * @returns a tensor of numbers with its axes in another order: axis `a` is axis `perm[a]` of the given one (ONNX Transpose-1).
 *
 * **Throws** TypeError for strings.
 */
export function transpose(tensor: Tensor, perm: readonly number[]): Tensor {
  const { dtype, data } = tensor;
  if (Array.isArray(data)) throw new TypeError('a tensor of strings');
  const dims = perm.map((a) => tensor.dims[a]);
  const from = stridesOf(tensor.dims);
  const strides = perm.map((a) => from[a]);
  const size = sizeOf(dims);
  const out = blank(data, size);
  // Two axes are walked in tiles: the one that is innermost in what is written, and the one that is so in what is read.
  const last = dims.length - 1;
  const inner = perm.indexOf(last);
  if (inner < 0 || inner === last || size === 0) {
    copyRows(data, out, dims, strides);
    return { dtype, dims, data: out };
  }
  const to = stridesOf(dims);
  const others = dims.map((_, a) => a).filter((a) => a !== inner && a !== last);
  const [rows, columns] = [dims[inner], dims[last]];
  const [rowStep, columnStep] = [to[inner], strides[last]];
  walk(
    others.map((a) => dims[a]),
    (index) => {
      let [source, target] = [0, 0];
      others.forEach((a, k) => {
        source += index[k] * strides[a];
        target += index[k] * to[a];
      });
      for (let r0 = 0; r0 < rows; r0 += TILE) {
        for (let c0 = 0; c0 < columns; c0 += TILE) {
          const [r1, c1] = [Math.min(rows, r0 + TILE), Math.min(columns, c0 + TILE)];
          for (let r = r0; r < r1; r++) {
            const row = target + r * rowStep;
            for (let c = c0; c < c1; c++) out[row + c] = data[source + r + c * columnStep];
          }
        }
      }
    },
  );
  return { dtype, dims, data: out };
}

/** Copies along the last axis, which is the last one of the source as well. */
function copyRows(data: Numbers, out: Numbers, dims: readonly number[], strides: readonly number[]): void {
  const length = dims.at(-1) ?? 1;
  let at = 0;
  walk(dims.slice(0, -1), (index) => {
    const start = index.reduce((sum, i, a) => sum + i * strides[a], 0);
    for (let i = 0; i < length; i++) out[at++] = data[start + i];
  });
}

/** Visits all indices of a grid, the last axis fastest. */
function walk(dims: readonly number[], visit: (index: readonly number[]) => void): void {
  const index = dims.map(() => 0);
  for (let n = sizeOf(dims); n > 0; n--) {
    visit(index);
    for (let a = dims.length - 1; a >= 0 && ++index[a] === dims[a]; a--) index[a] = 0;
  }
}
