import { BLOCK, blockedForm, emitBlocked } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, sizeOf } from '../tensor/tensor.js';
import { type BlockedProblem, gatherLast, gradientPhases, toPhases } from './blockedConv.js';
import { type Phases, phasesOf } from './phases.js';
import type { Window } from './window.js';

/*
 * dW as one convolution in blocks, with pixels in the role of channels: of
 *
 *   dW[m,c,a,b] = Σ_{n,h,w} X[n,c, h + a − before, w] · dY[n,m, h, w − b + before]
 *
 * (stride 1; others by phases) the sum over images and 16 neighbouring columns is the sum over input channels, that over rows
 * and blocks of columns the one over kernel positions; m and b are the output channels, a and c the output positions. A
 * kernel of dY then lies in memory just as blocked activations do; X has its tiles of 16 columns × 16 channels transposed.
 */

/** @returns how the batch is laid out, or undefined where it doesn't divide. */
function layoutOf(batch: number, width: number): { columns: number; images: number; groups: number } | undefined {
  // Narrow images lie side by side so that 16 columns fill a block.
  const columns = width > 8 ? Math.ceil(width / BLOCK) * BLOCK : width > 4 ? 8 : 4;
  const images = width > 8 ? 1 : BLOCK / columns;
  if (batch % images !== 0) return undefined;
  const groups = [4, 2, 1].find((n) => batch % (images * n) === 0)!;
  return { columns, images, groups };
}

/** @returns true where the weight gradient can be computed in blocks. */
export function weightGradientFitsBlocks(problem: BlockedProblem & { readonly batch: number }): boolean {
  const phases = gradientPhases(problem);
  return phases !== undefined && layoutOf(problem.batch, phases.window.input[1]) !== undefined;
}

/** Emits dW [M, C, kh, kw]. */
export function blockedWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: readonly number[],
  window: Window,
): Value {
  const phases = phasesOf(window);
  if (!phases) throw new Error('this convolution has no phases');
  const whole = oneConvolution(
    g,
    blockedForm(g, dy).block,
    toPhases(g, blockedForm(g, x).block, phases),
    phases.window,
  );
  const [m, c] = weight;
  const cut = (dw: Value): Value => g.slice(dw, [0, 1], [0, 0], [m, c]);
  if (phases.counts.every((s) => s === 1)) return cut(whole);
  const [count, offsets] = [sizeOf(phases.counts), sizeOf(phases.window.kernel)];
  const blocks = [whole.shape[0], whole.shape[1] / count];
  const apart = g.transpose(g.reshape(whole, [blocks[0], count, blocks[1], offsets]), [0, 2, 1, 3]);
  const picked = gatherLast(g, cut(g.reshape(apart, [...blocks, count * offsets])), positionsOf(phases, weight));
  return g.reshape(picked, weight);
}

/** @returns for every kernel position where it stands among phases and offsets. */
function positionsOf({ taps, window, counts }: Phases, weight: readonly number[]): number[] {
  const [height, width] = window.kernel;
  const find = (axis: number, k: number): [number, number] => {
    const r = taps[axis].findIndex((offsets) => offsets.includes(k));
    return [r, taps[axis][r].indexOf(k)];
  };
  const positions: number[] = [];
  for (let a = 0; a < weight[2]; a++) {
    for (let b = 0; b < weight[3]; b++) {
      const [[rh, th], [rw, tw]] = [find(0, a), find(1, b)];
      positions.push((rh * counts[1] + rw) * height * width + th * width + tw);
    }
  }
  return positions;
}

function oneConvolution(g: GraphBuilder, dy: Value, x: Value, window: Window): Value {
  const { kernel, before, after, input, output } = window;
  const [n, c] = x.shape;
  const m = dy.shape[1];
  const [height, width] = output;
  const { columns, images, groups } = layoutOf(n, input[1])!;
  const blocks = Math.max(1, columns / BLOCK);
  const pixels = pixelsAsChannels(g, x, columns, images);

  const outer = m / BLOCK;
  const rows = g.reshape(dy, [groups, n / images / groups, images, outer, height, width * BLOCK]);
  const grouped =
    images > 1
      ? g.transpose(rows, [0, 3, 1, 4, 2, 5])
      : outer > 1
        ? g.transpose(g.reshape(rows, [groups, n / groups, outer, height * width * BLOCK]), [0, 2, 1, 3])
        : rows;
  const lines = g.reshape(grouped, [n * outer, BLOCK, height, width]);
  const shifted = Array.from({ length: kernel[1] }, (_, b) => {
    const copy = shiftColumns(g, lines, kernel[1], b, before[1], columns);
    return g.reshape(copy, [groups, (m * n * height * columns) / groups]);
  });
  const convolved = (copies: Value[]): Value => {
    const filters = g.reshape(g.concat(copies, 1), [
      groups * copies.length * m,
      (BLOCK * n) / images / groups,
      height,
      blocks,
    ]);
    const shape = [1, groups * copies.length * m, kernel[0], c];
    const out = emitBlocked(g, 'Conv', [pixels, filters], shape, {
      kernel_shape: [height, blocks],
      dilations: [1, c],
      pads: [before[0], 0, after[0], 0],
      strides: [1, 1],
      group: groups,
    });
    return g.reduceSum(g.reshape(out, [groups, sizeOf(shape) / groups]), [0]);
  };
  // A single block of output channels is too little for a convolution of its own: then all copies go into one.
  const sums = outer > 1 ? shifted.map((copy) => convolved([copy])) : [convolved(shifted)];
  const parts = g.reshape(g.concat(sums, 0), [kernel[1], outer, kernel[0], c, BLOCK]);
  return g.reshape(g.transpose(parts, [1, 4, 3, 2, 0]), [m, c, ...kernel]);
}

/** [N, C, H, W] in blocks of channels → [1, 16·N, H, W/16 · C] in blocks of columns. */
function pixelsAsChannels(g: GraphBuilder, block: Value, columns: number, images: number): Value {
  const [n, c, height, width] = block.shape;
  const outer = c / BLOCK;
  const wide = shiftColumns(g, g.reshape(block, [n * outer, BLOCK, height, width]), 1, 0, 0, columns);
  const blocks = Math.max(1, columns / BLOCK);
  const target = [1, (BLOCK * n) / images, height, blocks * c];
  if (images > 1) {
    const apart = g.reshape(wide, [n / images, images, outer, height, columns * BLOCK]);
    return g.reshape(transposeTiles(g, g.transpose(apart, [0, 3, 2, 1, 4])), target);
  }
  const tiles = transposeTiles(g, wide);
  const ordered =
    outer > 1 ? g.transpose(g.reshape(tiles, [n, outer, height * blocks, BLOCK * BLOCK]), [0, 2, 1, 3]) : tiles;
  return g.reshape(ordered, target);
}

/** Transposes every 16 × 16 run of elements: to ReorderOutput they are blocks of 16 pixels. */
function transposeTiles(g: GraphBuilder, x: Value): Value {
  const shape = [sizeOf(x.shape) / (BLOCK * BLOCK), BLOCK, 4, 4];
  return emitBlocked(g, 'ReorderOutput', [g.reshape(x, shape)], shape, { channels: BLOCK });
}

/**
 * Shifts the columns of blocked lines by `b − before` and pads them to `columns`: a depthwise convolution with a
 * kernel that is 1 at one position, which is several times faster than Pad.
 */
function shiftColumns(
  g: GraphBuilder,
  lines: Value,
  kernel: number,
  b: number,
  before: number,
  columns: number,
): Value {
  const [n, , height, width] = lines.shape;
  if (b === before && columns === width) return lines;
  const at = kernel - 1 - b;
  const one = new Float32Array(kernel * BLOCK).fill(1, at * BLOCK, (at + 1) * BLOCK);
  const [left, right] = [kernel - 1 - before, columns - width + before];
  return emitBlocked(
    g,
    'Conv',
    [lines, g.constant(float32([BLOCK, 1, 1, kernel], one), 'one')],
    [n, BLOCK, height, columns],
    { kernel_shape: [1, kernel], pads: [0, left, 0, right], strides: [1, 1], dilations: [1, 1], group: BLOCK },
  );
}
