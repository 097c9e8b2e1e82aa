import { transposedWindowOf, type Window, windowOf } from '../../../ops/window.js';
import type { OpAttributes } from '../device.js';
import {
  giveImages,
  giveKernel,
  lay,
  type Laid,
  padImages,
  type Padding,
  paddingOf,
  readImages,
  readKernel,
  reached,
  stuffed,
  undilated,
  unpadImages,
  unstuffed,
} from '../images.js';
import type { Kernel, Kernels, PlannedNode } from '../kernel.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';
import { concatenated, part, strided } from './shapes.js';

/*
 * Convolutions and their gradients by TensorFlow's kernels. One channel per group is its depthwise convolution; other groups
 * are convolved one by one. Its CPU kernels take dilation only forwards: elsewhere the kernel gets zeros between its taps.
 */

type Operator = 'Forward' | 'InputGrad' | 'WeightGrad';

const names: Readonly<Record<string, Readonly<Record<Operator, string>>>> = {
  conv2: { Forward: 'Conv2D', InputGrad: 'Conv2DBackpropInput', WeightGrad: 'Conv2DBackpropFilter' },
  conv3: { Forward: 'Conv3D', InputGrad: 'Conv3DBackpropInputV2', WeightGrad: 'Conv3DBackpropFilterV2' },
  depthwise: {
    Forward: 'DepthwiseConv2dNative',
    InputGrad: 'DepthwiseConv2dNativeBackpropInput',
    WeightGrad: 'DepthwiseConv2dNativeBackpropFilter',
  },
};

/** One convolution without padding that TensorFlow lacks. */
interface Call {
  readonly family: keyof typeof names;
  readonly window: Window;
  readonly padding: Padding;
}

function attributesOf({ family, window, padding }: Call, op: Operator): OpAttributes {
  const around = (x: readonly number[]): number[] => [1, ...x, 1];
  return {
    strides: around(window.strides),
    padding: padding.padding,
    ...(padding.explicit && { explicit_paddings: padding.explicit }),
    dilations: around(window.dilations),
    data_format: family === 'conv3' ? 'NDHWC' : 'NHWC',
    T: { type: 'float32' },
    ...(family === 'conv3' && op === 'InputGrad' && { Tshape: { type: 'int32' } }),
  };
}

/** x [N, ...S, C] and w [...k, I, O] → y. */
function forward(p: Planner, x: Slot, w: Slot, window: Window, group: number): Slot {
  if (group > 1 && !isDepthwise(w, window)) {
    const [xs, ws] = [parts(p, x, group), parts(p, w, group)];
    return concatenated(
      p,
      xs.map((each, i) => forward(p, each, ws[i], window, 1)),
      x.shape.length - 1,
    );
  }
  const direct = window.kernel.length === 2 && group === 1 && window.strides.every((s) => s === 1);
  const whole = direct ? window : undilated(window);
  const kernel = direct ? w : stuffed(p, w, window);
  const padding = paddingOf(whole, group === 1);
  if (!padding) return forward(p, padImages(p, x, window), w, reached(window), group);
  const shape = [x.shape[0], ...window.output, w.shape.at(-1)!];
  const call = callOf(whole, padding, group);
  const filter = group > 1 ? depthwiseKernel(p, kernel, group) : kernel;
  return p.op(names[call.family].Forward, [x, filter], shape, attributesOf(call, 'Forward'));
}

/** dy and w → dx, in the shape that the window was laid over. */
function inputGradient(p: Planner, dy: Slot, w: Slot, window: Window, group: number): Slot {
  if (group > 1 && !isDepthwise(w, window)) {
    const [ys, ws] = [parts(p, dy, group), parts(p, w, group)];
    return concatenated(
      p,
      ys.map((each, i) => inputGradient(p, each, ws[i], window, 1)),
      dy.shape.length - 1,
    );
  }
  const whole = undilated(window);
  const padding = paddingOf(whole, group === 1);
  if (!padding) return unpadImages(p, inputGradient(p, dy, w, reached(window), group), window);
  const shape = [dy.shape[0], ...window.input, w.shape.at(-2)! * group];
  const call = callOf(whole, padding, group);
  const kernel = stuffed(p, w, window);
  const filter = group > 1 ? depthwiseKernel(p, kernel, group) : kernel;
  return p.op(
    names[call.family].InputGrad,
    [p.ints(shape), filter, dy],
    shape,
    attributesOf(call, 'InputGrad'),
    dy.kind,
  );
}

/** dy and x → dw [...k, I, O]. */
function weightGradient(p: Planner, dy: Slot, x: Slot, window: Window, group: number): Slot {
  const [ins, outs] = [x.shape.at(-1)! / group, dy.shape.at(-1)!];
  const depthwise = group > 1 && ins === 1 && fitsDepthwise(window);
  if (group > 1 && !depthwise) {
    const [ys, xs] = [parts(p, dy, group), parts(p, x, group)];
    return concatenated(
      p,
      ys.map((each, i) => weightGradient(p, each, xs[i], window, 1)),
      x.shape.length - 1,
    );
  }
  const unread = window.after.some((a) => a < 0);
  if (unread) return weightGradient(p, dy, seenBy(p, x, window), tight(window), group);
  const whole = undilated(window);
  const padding = paddingOf(whole, group === 1);
  if (!padding) return weightGradient(p, dy, padImages(p, x, window), reached(window), group);
  const shape = depthwise ? [...whole.kernel, group, outs / group] : [...whole.kernel, ins, outs];
  const call = callOf(whole, padding, group);
  const made = p.op(names[call.family].WeightGrad, [x, p.ints(shape), dy], shape, attributesOf(call, 'WeightGrad'));
  return unstuffed(p, p.reshape(made, [...whole.kernel, ins, outs]), window);
}

/**
 * What windows read of the input, without elements at the end that none reads: TensorFlow 2.21 (oneDNN) writes beyond its
 * memory where a filter gradient of few channels has such. Single taps see every `stride`th element.
 */
function seenBy(p: Planner, x: Slot, { kernel, strides, before, after, output }: Window): Slot {
  const ends = after.map((a) => Math.min(0, a));
  if (!single(kernel, before)) return padImages(p, x, { before: before.map(() => 0), after: ends });
  const size = [x.shape[0], ...output, x.shape.at(-1)!];
  return strided(
    p,
    x,
    size.map(() => 0),
    [1, ...strides, 1],
    size,
  );
}

/** The window over what is left of the input. */
function tight(window: Window): Window {
  const { kernel, before, after, output, input } = window;
  const ones = kernel.map(() => 1);
  const zeros = kernel.map(() => 0);
  if (single(kernel, before)) return { ...window, strides: ones, before: zeros, after: zeros, input: output };
  return { ...window, input: input.map((d, i) => d + Math.min(0, after[i])), after: after.map((a) => Math.max(0, a)) };
}

function single(kernel: readonly number[], before: readonly number[]): boolean {
  return kernel.every((k) => k === 1) && before.every((b) => b === 0);
}

function callOf(window: Window, padding: Padding, group: number): Call {
  const family = group > 1 ? 'depthwise' : window.kernel.length === 3 ? 'conv3' : 'conv2';
  return { family, window, padding };
}

function isDepthwise(w: Slot, window: Window): boolean {
  return w.shape.at(-2) === 1 && fitsDepthwise(window);
}

/** TensorFlow's depthwise kernels move by the same stride along both axes. */
function fitsDepthwise({ strides }: Window): boolean {
  return strides.length === 2 && strides[0] === strides[1];
}

/** [...k, 1, C·m] → [...k, C, m]. */
function depthwiseKernel(p: Planner, w: Slot, group: number): Slot {
  const [out] = w.shape.slice(-1);
  return p.reshape(w, [...w.shape.slice(0, -2), group, out / group]);
}

/** Equal parts of the channels, which lie last. */
function parts(p: Planner, x: Slot, count: number): Slot[] {
  const last = x.shape.length - 1;
  const size = x.shape[last] / count;
  return Array.from({ length: count }, (_, i) => part(p, x, last, i * size, size));
}

function biased(p: Planner, y: Slot, bias: string | undefined): Slot {
  return bias ? p.op('BiasAdd', [y, p.read(bias)], y.shape) : y;
}

const conv: Kernel = (p, { inputs: [x, w, bias], outputs: [y], attrs }) => {
  const window = windowOf(attrs, p.shape(w).slice(2), p.shape(x).slice(2), p.shape(y).slice(2));
  const laid = lay(window);
  const result = forward(p, readImages(p, x, laid), readKernel(p, w, laid), laid.window, attrs.int('group', 1));
  giveImages(p, y, biased(p, result, bias));
};

/** It is the input gradient of a convolution whose windows lie over Y, one for each position of X. */
const convTranspose: Kernel = (p, { inputs: [x, w, bias], outputs: [y], attrs }) => {
  const kernel = p.shape(w).slice(2);
  const [inside, outside] = [p.shape(x).slice(2), p.shape(y).slice(2)];
  const laid = lay(transposedWindowOf(attrs, kernel, outside, inside));
  const result = inputGradient(p, readImages(p, x, laid), readKernel(p, w, laid), laid.window, attrs.int('group', 1));
  giveImages(p, y, biased(p, result, bias));
};

/** What a gradient node of the private domain says of its window. */
export function statedWindow({ attrs }: PlannedNode, input: readonly number[], output: readonly number[]): Laid {
  const kernel = attrs.ints('kernel_shape')!;
  const pads = attrs.ints('pads')!;
  return lay({
    kernel,
    strides: attrs.ints('strides')!,
    dilations: attrs.ints('dilations')!,
    before: pads.slice(0, kernel.length),
    after: pads.slice(kernel.length),
    input: input.slice(2),
    output: output.slice(2),
  });
}

const convInputGrad: Kernel = (p, node) => {
  const { inputs, outputs, attrs } = node;
  const laid = statedWindow(node, p.shape(outputs[0]), p.shape(inputs[0]));
  const [dy, w] = [readImages(p, inputs[0], laid), readKernel(p, inputs[1], laid)];
  giveImages(p, outputs[0], inputGradient(p, dy, w, laid.window, attrs.int('group', 1)));
};

const convWeightGrad: Kernel = (p, node) => {
  const { inputs, outputs, attrs } = node;
  const laid = statedWindow(node, p.shape(inputs[1]), p.shape(inputs[0]));
  const [dy, x] = inputs.map((name) => readImages(p, name, laid));
  giveKernel(p, outputs[0], weightGradient(p, dy, x, laid.window, attrs.int('group', 1)));
};

export const convolutionKernels: Kernels = {
  Conv: conv,
  ConvTranspose: convTranspose,
  'org.tensorflow.ConvInputGrad': convInputGrad,
  'org.tensorflow.ConvWeightGrad': convWeightGrad,
};
