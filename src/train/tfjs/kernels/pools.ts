import { windowCounts } from '../../../ops/poolCounts.js';
import { tapsOf, type Window, windowOf } from '../../../ops/window.js';
import { sizeOf } from '../../../tensor/tensor.js';
import type { OpAttributes } from '../device.js';
import { giveImages, lay, padImages, type Padding, paddingOf, readImages, reached, unpadImages } from '../images.js';
import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';
import { statedWindow } from './convolutions.js';
import { strided } from './shapes.js';

/** Pools and their gradients by TensorFlow's kernels, which know VALID and SAME; other padding is added before. */

/** Padding never wins. */
const LOWEST = -3.4028234663852886e38;

function attributesOf({ kernel, strides }: Window, { padding }: Padding): OpAttributes {
  const around = (x: readonly number[]): number[] => [1, ...x, 1];
  return {
    ksize: around(kernel),
    strides: around(strides),
    padding,
    data_format: kernel.length === 3 ? 'NDHWC' : 'NHWC',
    T: { type: 'float32' },
  };
}

const named = (op: 'MaxPool' | 'AvgPool', grad: boolean, { kernel }: Window): string =>
  `${op}${kernel.length === 3 ? '3D' : ''}${grad ? 'Grad' : ''}`;

function resultOf({ output }: Window, x: Slot): number[] {
  return [x.shape[0], ...output, x.shape.at(-1)!];
}

function maxPooled(p: Planner, x: Slot, window: Window): Slot {
  if (window.dilations.some((d) => d !== 1)) return maxOfTaps(p, x, window);
  const padding = paddingOf(window, false);
  if (!padding) return maxPooled(p, padImages(p, x, window, p.float(LOWEST)), reached(window));
  return p.op(named('MaxPool', false, window), [x], resultOf(window, x), attributesOf(window, padding));
}

/** What all windows see at one place of the kernel, and the greatest of that. */
function maxOfTaps(p: Planner, x: Slot, window: Window): Slot {
  const whole = padImages(p, x, window, p.float(LOWEST));
  const size = resultOf(window, x);
  const step = [1, ...window.strides, 1];
  const seen = tapsOf(window).map((tap) => strided(p, whole, [0, ...tap, 0], step, size));
  return seen.reduce((a, b) => p.op('Maximum', [a, b], size));
}

function maxGradient(p: Planner, x: Slot, y: Slot, dy: Slot, window: Window): Slot {
  const padding = paddingOf(window, false);
  if (!padding) {
    const whole = padImages(p, x, window, p.float(LOWEST));
    return unpadImages(p, maxGradient(p, whole, y, dy, reached(window)), window);
  }
  const attributes = attributesOf(window, padding);
  const types: OpAttributes = window.kernel.length === 3 ? { TInput: { type: 'float32' } } : {};
  return p.op(named('MaxPool', true, window), [x, y, dy], x.shape, { ...attributes, ...types });
}

/** @returns where the node's windows lie. */
function poolWindow(p: Planner, { inputs: [x], outputs: [y], attrs }: PlannedNode): Window {
  return windowOf(attrs, attrs.ints('kernel_shape')!, p.shape(x).slice(2), p.shape(y).slice(2), 'pool');
}

const maxPool: Kernel = (p, node) => {
  const { inputs, outputs } = node;
  lacks(outputs.length > 1 && outputs[1] !== '', 'MaxPool with Indices');
  const window = poolWindow(p, node);
  const laid = lay(window);
  giveImages(p, outputs[0], maxPooled(p, readImages(p, inputs[0], laid), laid.window));
};

/** The mean over what windows see, zeros of padding included. */
function averaged(p: Planner, x: Slot, window: Window): Slot {
  const padding = paddingOf(window, false);
  if (padding?.padding !== 'VALID') return averaged(p, padImages(p, x, window), reached(window));
  return p.op(named('AvgPool', false, window), [x], resultOf(window, x), attributesOf(window, padding));
}

const averagePool: Kernel = (p, node) => {
  const { inputs, outputs, attrs } = node;
  const window = poolWindow(p, node);
  lacks(
    window.dilations.some((d) => d !== 1),
    'AveragePool with dilations',
  );
  const laid = lay(window);
  const counts = windowCounts(attrs, window);
  const size = sizeOf(window.kernel);
  const y = averaged(p, readImages(p, inputs[0], laid), laid.window);
  if (counts.every((n) => n === size)) return giveImages(p, outputs[0], y);
  const factors = Float32Array.from(counts, (n) => size / Math.max(1, n));
  giveImages(p, outputs[0], p.op('Mul', [y, p.constant([...laid.window.output, 1], factors)], y.shape));
};

function averageGradient(p: Planner, dy: Slot, window: Window): Slot {
  const padding = paddingOf(window, false);
  if (padding?.padding !== 'VALID') return unpadImages(p, averageGradient(p, dy, reached(window)), window);
  const shape = [dy.shape[0], ...window.input, dy.shape.at(-1)!];
  const op = named('AvgPool', true, window);
  return p.op(op, [p.ints(shape), dy], shape, attributesOf(window, padding), dy.kind);
}

const maxPoolGrad: Kernel = (p, node: PlannedNode) => {
  const [x, y, dy] = node.inputs;
  const laid = statedWindow(node, p.shape(x), p.shape(y));
  const [a, b, c] = [x, y, dy].map((name) => readImages(p, name, laid));
  giveImages(p, node.outputs[0], maxGradient(p, a, b, c, laid.window));
};

const averagePoolGrad: Kernel = (p, node: PlannedNode) => {
  const { inputs, outputs } = node;
  const laid = statedWindow(node, p.shape(outputs[0]), p.shape(inputs[0]));
  giveImages(p, outputs[0], averageGradient(p, readImages(p, inputs[0], laid), laid.window));
};

export const poolKernels: Kernels = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  'org.tensorflow.MaxPoolGrad': maxPoolGrad,
  'org.tensorflow.AveragePoolGrad': averagePoolGrad,
};
