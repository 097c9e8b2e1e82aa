import { BLOCK, blockedForm, emitBlocked, fitsBlocks, isBlocked, plainForm } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, sizeOf } from '../tensor/tensor.js';
import type { Window } from './window.js';

/*
 * Max pooling over windows of 2×2 side by side, in onnxruntime's blocked layout. Its gradient goes one axis after the
 * other: first to the row whose maximum is the greater one, then to the column; the first of equal ones wins, which is
 * row-major order. Whether the first of two neighbours wins is one depthwise convolution: clip(10³⁰·(first − second) + 1).
 */

export function poolFitsBlocks(
  g: GraphBuilder,
  x: Value,
  { kernel, strides, dilations, input, output }: Window,
): boolean {
  return (
    isBlocked(g, x) &&
    fitsBlocks(x) &&
    [0, 1].every((i) => kernel[i] === 2 && strides[i] === 2 && dilations[i] === 1 && input[i] === 2 * output[i])
  );
}

export function blockedMaxPool(g: GraphBuilder, x: Value, name: string): Value {
  const { block, channels } = blockedForm(g, x);
  return plainForm(g, { block: pooled(g, block, [2, 2]), channels }, name);
}

export function blockedMaxPoolGradient(g: GraphBuilder, x: Value, dy: Value): Value {
  const { block: whole, channels } = blockedForm(g, x);
  const { block } = blockedForm(g, dy);
  const width = block.shape[3];
  const lines = pooled(g, whole, [1, 2]);
  const perRow = shared(g, block, firstWins(g, lines, [2, 1]), width * BLOCK);
  const perColumn = shared(g, g.reshape(perRow, lines.shape), firstWins(g, whole, [1, 2]), BLOCK);
  return plainForm(g, { block: g.reshape(perColumn, whole.shape), channels });
}

function pooled(g: GraphBuilder, block: Value, kernel: readonly number[]): Value {
  const attributes = { kernel_shape: kernel, strides: kernel, dilations: [1, 1], pads: [0, 0, 0, 0] };
  return emitBlocked(g, 'MaxPool', [block], shrunk(block, kernel), attributes);
}

function shrunk({ shape: [n, c, height, width] }: Value, [rows, columns]: readonly number[]): number[] {
  return [n, c, height / rows, width / columns];
}

/** 1 where the first of two neighbours is not less than the second, else 0. */
function firstWins(g: GraphBuilder, block: Value, kernel: readonly number[]): Value {
  const channels = block.shape[1];
  const difference = new Float32Array(2 * channels).map((_, i) => (Math.floor(i / BLOCK) % 2 ? -1 : 1));
  const weight = g.constant(float32([channels, 1, ...kernel], difference), 'difference');
  return emitBlocked(g, 'Conv', [block, weight], shrunk(block, kernel), {
    kernel_shape: kernel,
    strides: kernel,
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    group: channels,
    activation: 'HardSigmoid',
    activation_params: { floats: [1e30, 1] },
  });
}

/** Gives dy to the first or the second of two neighbours, runs of `run` elements alternating. */
function shared(g: GraphBuilder, dy: Value, first: Value, run: number): Value {
  const a = g.mul(dy, first);
  const b = g.sub(dy, a);
  const parts = [a, b].map((v) => g.reshape(v, [sizeOf(v.shape) / run, 1, run]));
  return g.concat(parts, 1);
}
