import type { Move } from './augment.js';

/** How the values of a picture lie in the raw data and in the input, in values. */
export interface Geometry {
  readonly height: number;
  readonly width: number;
  /** Channels of the input. */
  readonly channels: number;
  /** Steps in the raw data from pixel to pixel and from row to row. */
  readonly step: number;
  readonly row: number;
  /** Where the input's channels lie in the raw data. */
  readonly planes: readonly number[];
  /** The same steps in the input. */
  readonly outStep: number;
  readonly outRow: number;
  readonly outPlane: number;
}

/** Converts one picture of bytes by a table per channel. The loops are the inner ones of training: keep them plain. */
export function fillBytes(
  out: Float32Array,
  base: number,
  data: Uint8Array,
  offset: number,
  g: Geometry,
  tables: readonly Float32Array[],
  move: Move | undefined,
): void {
  const { height, width, step, row, outStep, outRow, outPlane } = g;
  for (let c = 0; c < g.channels; c++) {
    const table = tables[c];
    const from = offset + g.planes[c];
    const to = base + c * outPlane;
    if (!move && step === 1 && outStep === 1 && row === width && outRow === width) {
      for (let i = 0, n = height * width; i < n; i++) out[to + i] = table[data[from + i]];
      continue;
    }
    const { dy, dx, flip, edge } = move ?? still;
    const [x0, x1] = inside(width, dx, flip);
    const sign = flip ? -step : step;
    const first = flip ? (width - 1 + dx) * step : dx * step;
    for (let y = 0; y < height; y++) {
      let o = to + y * outRow;
      const sy = y + dy;
      if (!edge && (sy < 0 || sy >= height)) {
        for (let x = 0; x < width; x++, o += outStep) out[o] = table[0];
        continue;
      }
      const line = from + (sy < 0 ? 0 : sy >= height ? height - 1 : sy) * row;
      const left = edge ? table[data[line + (flip ? width - 1 : 0) * step]] : table[0];
      const right = edge ? table[data[line + (flip ? 0 : width - 1) * step]] : table[0];
      let x = 0;
      for (; x < x0; x++, o += outStep) out[o] = left;
      for (let p = line + first + x0 * sign; x < x1; x++, o += outStep, p += sign) out[o] = table[data[p]];
      for (; x < width; x++, o += outStep) out[o] = right;
    }
  }
}

/** Converts one picture of numbers: raw·a + b per channel. What comes in from outside is raw 0. */
export function fillNumbers(
  out: Float32Array,
  base: number,
  data: ArrayLike<number>,
  offset: number,
  g: Geometry,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  move: Move | undefined,
): void {
  const { height, width, step, row, outStep, outRow, outPlane } = g;
  const { dy, dx, flip, edge } = move ?? still;
  for (let c = 0; c < g.channels; c++) {
    const from = offset + g.planes[c];
    for (let y = 0; y < height; y++) {
      const sy = y + dy;
      for (let x = 0; x < width; x++) {
        const sx = flip ? width - 1 - x + dx : x + dx;
        const within = sy >= 0 && sy < height && sx >= 0 && sx < width;
        const raw = within || edge ? data[from + clamp(sy, height) * row + clamp(sx, width) * step] : 0;
        out[base + c * outPlane + y * outRow + x * outStep] = raw * a[c] + b[c];
      }
    }
  }
}

/** Converts values that are no picture: raw·a + b, one pair for all or one per value. */
export function fillVector(
  out: Float32Array,
  base: number,
  data: ArrayLike<number>,
  offset: number,
  elements: number,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): void {
  if (a.length === 1) {
    const a0 = a[0];
    const b0 = b[0];
    for (let i = 0; i < elements; i++) out[base + i] = data[offset + i] * a0 + b0;
  } else for (let i = 0; i < elements; i++) out[base + i] = data[offset + i] * a[i] + b[i];
}

const still: Move = { dy: 0, dx: 0, flip: false, edge: false };

/** The columns of the input whose pixels lie inside the raw picture. */
function inside(width: number, dx: number, flip: boolean): readonly [number, number] {
  const shift = flip ? -dx : dx;
  return [Math.max(0, -shift), Math.min(width, width - shift)];
}

function clamp(x: number, size: number): number {
  return x < 0 ? 0 : x >= size ? size - 1 : x;
}
