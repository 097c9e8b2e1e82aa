import { BLOCK, type Blocked, blockedForm, emitBlocked, plainForm, scaleShift, shift } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';

/*
 * Batch normalisation in onnxruntime's blocked layout, where a scale and shift per channel is a depthwise 1×1 convolution and
 * Σ x·y per channel a depthwise one whose kernel is y. The statistics are those of z = x − s with a shift s near the mean, so
 * that E[z²] − E[z]² loses no digits; a convolution before takes the shift as its bias:
 *
 *   Y = a·z + (B − a·m),  a = scale·inv,  m = E[z],  inv = 1/√(E[z²] − m² + ε)
 *   dScale = inv · (Σ dY·z − m·Σ dY),  dX = a·dY + p·z + q,  p = −a·inv·dScale/n,  q = −a·ΣdY/n − p·m
 */

export interface BlockedStatistics {
  /** z, under a plain name. */
  readonly shifted: Value;
  /** m and inv, per channel. */
  readonly mean: Value;
  readonly inv: Value;
}

/** Emits Y and the statistics of the batch. */
export function blockedNorm(
  g: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value,
  near: Value,
  epsilon: number,
  name: string,
): BlockedStatistics & { y: Value; batchMean: Value; variance: Value } {
  const z = shift(g, blockedForm(g, x), g.neg(near));
  const mean = channelMean(g, z);
  const square = g.mul(channelDot(g, z, z), 1 / perChannel(z));
  const variance = g.max(g.sub(square, g.mul(mean, mean)), 0);
  const inv = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  const a = g.mul(scale, inv);
  const y = plainForm(g, scaleShift(g, z, a, g.sub(bias, g.mul(a, mean))), name);
  return { y, shifted: plainForm(g, z), mean, inv, batchMean: g.add(mean, near), variance };
}

/** Emits the gradients, given dY and what the forward pass kept. */
export function blockedNormGradient(
  g: GraphBuilder,
  dy: Value,
  scale: Value,
  { shifted, mean, inv }: BlockedStatistics,
): { dScale: Value; dBias: Value; dX: () => Value } {
  const [z, d] = [blockedForm(g, shifted), blockedForm(g, dy)];
  const count = perChannel(z);
  const dBias = channelSum(g, d);
  const dScale = g.mul(inv, g.sub(channelDot(g, d, z), g.mul(mean, dBias)));
  const dX = (): Value => {
    const a = g.mul(scale, inv);
    const p = g.mul(g.mul(g.mul(a, inv), dScale), -1 / count);
    const q = g.sub(g.mul(g.mul(a, dBias), -1 / count), g.mul(p, mean));
    return plainForm(g, scaleShift(g, d, a, null, scaleShift(g, z, p, q)));
  };
  return { dScale, dBias, dX };
}

function perChannel({ block: { shape } }: Blocked): number {
  return shape[0] * shape[2] * shape[3];
}

/** Σ over everything but the channels; images first, because sums over an outer axis are slow. */
export function channelSum(g: GraphBuilder, x: Blocked): Value {
  const [n, c] = x.block.shape;
  return cut(g, g.reduceSum(g.reshape(g.reduceSum(rows(g, x), [1]), [n, c]), [0]), x);
}

function channelMean(g: GraphBuilder, x: Blocked): Value {
  const [n, c] = x.block.shape;
  return cut(g, g.reduceMean(g.reshape(g.reduceMean(rows(g, x), [1]), [n, c]), [0]), x);
}

/** Without the channels that fill the last block. */
function cut(g: GraphBuilder, vector: Value, { channels }: Blocked): Value {
  return g.slice(vector, [0], [0], [channels]);
}

function rows(g: GraphBuilder, { block }: Blocked): Value {
  const [n, c, height, width] = block.shape;
  return g.reshape(block, [(n * c) / BLOCK, height * width, BLOCK]);
}

/** Σ x·y over everything but the channels. */
function channelDot(g: GraphBuilder, first: Blocked, { block: y }: Blocked): Value {
  const { block: x } = first;
  const [n, c, height, width] = x.shape;
  const sums = emitBlocked(
    g,
    'Conv',
    [g.reshape(x, [1, n * c, height, width]), g.reshape(y, [n * c, 1, height, width])],
    [1, n * c, 1, 1],
    { kernel_shape: [height, width], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: n * c },
  );
  return cut(g, g.reduceSum(g.reshape(sums, [n, c]), [0]), first);
}
