import { BLOCK, blockedForm, emitBlocked, filled, isBlocked, plainForm, wholeBlocks } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, int32, sizeOf } from '../tensor/tensor.js';
import { type Phases, phasesOf, tapTable } from './phases.js';
import { extent, type Window } from './window.js';

/*
 * Convolution and its input gradient in onnxruntime's blocked layout. Kernels lie as [M/16, C/16, kh, kw, 16 c, 16 m]; fewer
 * than 16 input channels are read from the plain layout, with kernels as [M/16, C, kh, kw, 16 m].
 */

/** What a choice of the blocked layout depends on. */
export interface BlockedProblem {
  readonly dtype: string;
  readonly group: number;
  /** Channels per group. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly window: Window;
}

/**
 * Filling up channels to whole blocks costs operations. Blocks are 2 to 5 times faster than what they replace, so up to
 * this factor they win.
 */
const MOST_FILLED = 3;

/** @returns true where the convolution itself can be computed in blocks. */
export function convFitsBlocks(problem: BlockedProblem, inBlocks: boolean): boolean {
  const { dtype, group, inChannels, outChannels, window } = problem;
  const { kernel, dilations, before, after } = window;
  const reach = kernel.map((k, i) => extent(k, dilations[i]));
  const more = wholeBlocks(outChannels) / outChannels;
  return (
    dtype === 'float32' &&
    kernel.length === 2 &&
    group === 1 &&
    (inChannels < BLOCK && !inBlocks ? more : filling(problem)) <= MOST_FILLED &&
    before.every((p, i) => p >= 0 && p < reach[i]) &&
    after.every((p, i) => p < reach[i])
  );
}

/** How many times more operations there are when both kinds of channels are filled up. */
function filling({ inChannels, outChannels }: BlockedProblem): number {
  return (wholeBlocks(outChannels) * wholeBlocks(inChannels)) / (outChannels * inChannels);
}

/** @returns the convolution over phases by which its gradients can be computed in blocks. */
export function gradientPhases(problem: BlockedProblem): Phases | undefined {
  return convFitsBlocks(problem, true) ? phasesOf(problem.window) : undefined;
}

/** @returns true where the input gradient can be computed in blocks: stride 1, or strides that divide the input. */
export function inputGradientFitsBlocks(problem: BlockedProblem): boolean {
  const phases = gradientPhases(problem);
  return phases !== undefined && Object.values(gradientPads(phases)).every((pads) => pads.every((p) => p >= 0));
}

/** Emits Y, given X (plain or blocked), W [M, C, kh, kw] and the bias. */
export function blockedConv(
  g: GraphBuilder,
  x: Value,
  w: Value,
  bias: Value | null,
  window: Window,
  name?: string,
): Value {
  const { kernel, strides, dilations, before, after, output } = window;
  const pads = [...before, ...after.map((p) => Math.max(0, p))];
  const plain = w.shape[1] < BLOCK && !isBlocked(g, x);
  const weight = filledKernel(g, w, !plain);
  const [m, c] = weight.shape;
  const positions = sizeOf(kernel);
  const blocks = plain
    ? g.transpose(g.reshape(weight, [m / BLOCK, BLOCK, c, positions]), [0, 2, 3, 1])
    : g.transpose(g.reshape(weight, [m / BLOCK, BLOCK, c / BLOCK, BLOCK, positions]), [0, 2, 4, 3, 1]);
  const [from, inside] = plain ? [x, pads] : paddedColumns(g, blockedForm(g, x).block, kernel[1], pads);
  const inputs = [from, g.reshape(blocks, weight.shape), ...(bias ? [filled(g, bias)] : [])];
  const attributes = { kernel_shape: kernel, strides, dilations, pads: inside, group: 1 };
  const block = emitBlocked(g, 'Conv', inputs, [x.shape[0], m, ...output], attributes);
  return plainForm(g, { block, channels: w.shape[0] }, name);
}

/** A kernel with zeros for the channels that fill the last blocks. */
function filledKernel(g: GraphBuilder, w: Value, inputs = true): Value {
  const [m, c] = w.shape;
  return g.pad(w, [0, 0, 0, 0, wholeBlocks(m) - m, inputs ? wholeBlocks(c) - c : 0, 0, 0]);
}

/** Emits dX, given dY and W: a convolution of stride 1 that gives the phases of dX, and their reassembly. */
export function blockedInputGradient(g: GraphBuilder, dy: Value, w: Value, window: Window): Value {
  const phases = phasesOf(window);
  if (!phases) throw new Error('this convolution has no phases');
  const kernelBlocks = filledKernel(g, w);
  const c = kernelBlocks.shape[1];
  const { before, after } = gradientPads(phases);
  const count = sizeOf(phases.counts);
  const { kernel, input } = phases.window;
  const [from, pads] = paddedColumns(g, blockedForm(g, dy).block, kernel[1], [...before, ...after]);
  const attributes = { kernel_shape: kernel, strides: [1, 1], dilations: [1, 1], pads, group: 1 };
  const shape = [dy.shape[0], count * c, ...input];
  const dx = emitBlocked(g, 'Conv', [from, gradientKernel(g, kernelBlocks, phases)], shape, attributes);
  return plainForm(g, { block: fromPhases(g, dx, phases, c), channels: w.shape[1] });
}

/**
 * onnxruntime computes the outputs whose windows reach beyond a line one by one. From 5 columns on, these are so many that
 * it is faster (1.6 times, 5×5 over 14×14) to pad the lines before: by a depthwise convolution, Pad takes longer.
 */
function paddedColumns(
  g: GraphBuilder,
  block: Value,
  kernelWidth: number,
  pads: readonly number[],
): [Value, readonly number[]] {
  const [top, left, bottom, right] = pads;
  if (kernelWidth < 5 || left + right === 0) return [block, pads];
  const [n, c, height, width] = block.shape;
  const lines = g.reshape(block, [(n * c) / BLOCK, BLOCK, height, width]);
  const one = g.constant(float32([BLOCK, 1, 1, 1], new Float32Array(BLOCK).fill(1)), 'one');
  const shape = [...lines.shape.slice(0, 3), left + width + right];
  const attributes = {
    kernel_shape: [1, 1],
    pads: [0, left, 0, right],
    strides: [1, 1],
    dilations: [1, 1],
    group: BLOCK,
  };
  const wide = emitBlocked(g, 'Conv', [lines, one], shape, attributes);
  return [g.reshape(wide, [n, c, height, shape[3]]), [top, 0, bottom, 0]];
}

/** dX[h] = Σ_d dY[h − d]·W: offsets are met from the last to the first. */
function gradientPads({ window: { kernel, before, input, output } }: Phases) {
  const last = kernel.map((t, i) => t - 1 - before[i]);
  return { before: last, after: input.map((size, i) => size - output[i] + before[i]) };
}

/** [M, C, kh, kw] → [phases · C, M, …]: channels swapped, offsets reversed. */
function gradientKernel(g: GraphBuilder, w: Value, phases: Phases): Value {
  const [m, c, , kernelWidth] = w.shape;
  const positions = sizeOf(w.shape.slice(2));
  const offsets = sizeOf(phases.window.kernel);
  const count = sizeOf(phases.counts);
  const blocks = g.reshape(w, [m / BLOCK, BLOCK, c / BLOCK, BLOCK, positions]);
  const table = tapTable(phases, kernelWidth, positions);
  const holes = table.includes(positions);
  const extended = holes ? g.pad(blocks, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) : blocks;
  const reversed = Array.from(
    table,
    (_, at) => table[Math.floor(at / offsets) * offsets + offsets - 1 - (at % offsets)],
  );
  const same = reversed.length === positions && reversed.every((k, i) => k === i);
  const picked = same ? extended : gatherLast(g, extended, reversed);
  const apart = g.reshape(picked, [m / BLOCK, BLOCK, c / BLOCK, BLOCK, count, offsets]);
  return g.reshape(g.transpose(apart, [4, 2, 0, 5, 1, 3]), [count * c, m, ...phases.window.kernel]);
}

/** `x[..., indices]`. */
export function gatherLast(g: GraphBuilder, x: Value, indices: readonly number[]): Value {
  const axis = x.shape.length - 1;
  const index = g.constant(int32([indices.length], indices), 'positions');
  const out = [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), indices.length] }];
  return g.emit('Gather', [x, index], out, { axis })[0];
}

/** Elements s·h + r of both axes as channels of their own: [N, phases · C, H/s, W/s]. */
export function toPhases(g: GraphBuilder, block: Value, { counts, window: { input } }: Phases): Value {
  const [n, c] = block.shape;
  if (counts.every((s) => s === 1)) return block;
  const split = g.reshape(block, [n, c / BLOCK, input[0], counts[0], input[1], counts[1], BLOCK]);
  return g.reshape(g.transpose(split, [0, 3, 5, 1, 2, 4, 6]), [n, sizeOf(counts) * c, ...input]);
}

function fromPhases(g: GraphBuilder, block: Value, { counts, window: { input } }: Phases, c: number): Value {
  if (counts.every((s) => s === 1)) return block;
  const n = block.shape[0];
  const split = g.reshape(block, [n, counts[0], counts[1], c / BLOCK, input[0], input[1], BLOCK]);
  const joined = g.transpose(split, [0, 3, 4, 1, 5, 2, 6]);
  return g.reshape(joined, [n, c, input[0] * counts[0], input[1] * counts[1]]);
}
