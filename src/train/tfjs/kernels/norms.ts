import { sizeOf } from '../../../tensor/tensor.js';
import { front } from '../../../ops/knownInts.js';
import { type Kernel, type Kernels } from '../kernel.js';
import { channelsLast, laid, plain } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** Normalisation; where it is per channel, by TensorFlow's fused kernel, over channels that lie last. */

/** Reads a value as [N, H, W, C], whatever its spatial axes are. */
function readRows(p: Planner, name: string): Slot {
  const shape = p.shape(name);
  const slot = p.read(name, channelsLast(shape.length));
  const channels = shape[1];
  return p.reshape(slot, [shape[0], sizeOf(shape.slice(2)), 1, channels]);
}

function giveRows(p: Planner, name: string, slot: Slot): void {
  const shape = p.shape(name);
  const order = channelsLast(shape.length);
  p.give(name, p.reshape(slot, laid(shape, order)), order);
}

const types = { T: { type: 'float32' }, U: { type: 'float32' }, data_format: 'NHWC' } as const;

const batchNormalization: Kernel = (p, { inputs: [x, ...vectors], outputs: [y], attrs }) => {
  const images = readRows(p, x);
  const [scale, bias, mean, variance] = vectors.map((name) => p.read(name));
  const { kind } = images;
  const epsilon = p.op('AddV2', [variance, p.float(attrs.float('epsilon', 1e-5))], variance.shape);
  const factor = p.op('Mul', [scale, p.op('Rsqrt', [epsilon], variance.shape)], scale.shape);
  const shift = p.op('Sub', [bias, p.op('Mul', [mean, factor], scale.shape)], scale.shape);
  const scaled = p.op('Mul', [images, factor], images.shape, {}, kind);
  giveRows(p, y, p.op('AddV2', [scaled, shift], images.shape));
};

/** Outputs besides y: mean, variance, and three that only the gradient reads. */
const batchNorm: Kernel = (p, { inputs: [x, scale, bias], outputs, attrs }) => {
  const images = readRows(p, x);
  const [gain, offset] = [p.read(scale), p.read(bias)];
  const none = p.constant([0], new Float32Array());
  const vector = { shape: gain.shape, kind: gain.kind };
  const made = p.ops(
    'FusedBatchNormV3',
    [images, gain, offset, none, none],
    [{ shape: images.shape, kind: images.kind }, vector, vector, vector, vector, vector],
    { ...types, epsilon: { float: attrs.float('epsilon', 1e-5) }, is_training: true },
  );
  const count = images.shape[0] * images.shape[1];
  // TensorFlow gives the variance of the population that the batch is a sample of.
  const biased = p.float(count > 1 ? (count - 1) / count : 1);
  giveRows(p, outputs[0], made[0]);
  p.give(outputs[1], made[1]);
  p.give(outputs[2], p.op('Mul', [made[2], biased], gain.shape));
  for (const i of [3, 4, 5]) p.give(outputs[i], made[i]);
};

const batchNormGrad: Kernel = (p, { inputs: [dy, x, scale, ...kept], outputs, attrs }) => {
  const [seed, images] = [readRows(p, dy), readRows(p, x)];
  const gain = p.read(scale);
  const vector = { shape: gain.shape, kind: gain.kind };
  const made = p.ops(
    'FusedBatchNormGradV3',
    [seed, images, gain, ...kept.map((name) => p.read(name))],
    [{ shape: images.shape, kind: images.kind }, vector, vector, vector, vector],
    { ...types, epsilon: { float: attrs.float('epsilon', 1e-5) }, is_training: true },
  );
  giveRows(p, outputs[0], made[0]);
  p.give(outputs[1], made[1]);
  p.give(outputs[2], made[2]);
};

interface Centred {
  readonly normal: Slot;
  readonly mean: Slot;
  readonly inverse: Slot;
}

/** (x − mean)/√(variance + ε) over the last axis of [rows, n]. */
function normalised(p: Planner, rows: Slot, epsilon: number): Centred {
  const axes = p.ints([1]);
  const shape = [rows.shape[0], 1];
  const mean = p.op('Mean', [rows, axes], shape, { keep_dims: true });
  const centred = p.op('Sub', [rows, mean], rows.shape);
  const variance = p.op('Mean', [p.op('Square', [centred], rows.shape), axes], shape, { keep_dims: true });
  const inverse = p.op('Rsqrt', [p.op('AddV2', [variance, p.float(epsilon)], shape)], shape);
  return { normal: p.op('Mul', [centred, inverse], rows.shape), mean, inverse };
}

const layerNormalization: Kernel = (p, { inputs: [x, scale, bias], outputs, attrs }) => {
  const shape = p.shape(x);
  const axis = front(attrs.int('axis', -1), shape.length);
  const inner = sizeOf(shape.slice(axis));
  const flat = p.reshape(p.read(x, plain(shape.length)), [sizeOf(shape.slice(0, axis)), inner]);
  const { normal, mean, inverse } = normalised(p, flat, attrs.float('epsilon', 1e-5));
  const vector = (name: string): Slot => {
    const own = p.shape(name);
    const slot = p.read(name, plain(own.length));
    return sizeOf(own) === inner ? p.reshape(slot, [inner]) : p.op('BroadcastTo', [slot, p.ints([inner])], [inner]);
  };
  const scaled = p.op('Mul', [normal, vector(scale)], flat.shape);
  const y = bias ? p.op('AddV2', [scaled, vector(bias)], flat.shape) : scaled;
  p.give(outputs[0], p.reshape(y, shape));
  if (outputs[1]) p.give(outputs[1], p.reshape(mean, p.shape(outputs[1])));
  if (outputs[2]) p.give(outputs[2], p.reshape(inverse, p.shape(outputs[2])));
};

const instanceNormalization: Kernel = (p, { inputs: [x, scale, bias], outputs: [y], attrs }) => {
  const shape = p.shape(x);
  const [n, channels] = shape;
  const flat = p.reshape(p.read(x, plain(shape.length)), [n * channels, sizeOf(shape.slice(2))]);
  const { normal } = normalised(p, flat, attrs.float('epsilon', 1e-5));
  const grouped = p.reshape(normal, [n, channels, flat.shape[1]]);
  const [gain, offset] = [scale, bias].map((name) => p.reshape(p.read(name), [channels, 1]));
  const scaled = p.op('Mul', [grouped, gain], grouped.shape);
  p.give(y, p.reshape(p.op('AddV2', [scaled, offset], grouped.shape), shape));
};

export const normKernels: Kernels = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  InstanceNormalization: instanceNormalization,
  'org.tensorflow.BatchNorm': batchNorm,
  'org.tensorflow.BatchNormGrad': batchNormGrad,
};
