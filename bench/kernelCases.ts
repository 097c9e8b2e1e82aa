import { Attributes } from '../src/onnx/attributes.js';
import { BLOCK, blockedForm, NCHWC, plainForm, wholeBlocks } from '../src/onnx/blocked.js';
import type { GraphBuilder, Value } from '../src/onnx/builder.js';
import type { Engine, Feature } from '../src/onnx/engine.js';
import { makeNode } from '../src/onnx/make.js';
import { AveragePool } from '../src/ops/AveragePool.js';
import { BatchNormalization } from '../src/ops/BatchNormalization.js';
import { blockedConv, convFitsBlocks, inputGradientFitsBlocks } from '../src/ops/blockedConv.js';
import { weightGradientFitsBlocks } from '../src/ops/blockedWeightGradient.js';
import {
  convForward,
  convInputGradient,
  convolve,
  convWeightGradient,
  type ConvProblem,
  type InputGradient,
  inputGradientBy,
  type WeightGradient,
  weightGradientBy,
} from '../src/ops/convGradient.js';
import { MaxPool } from '../src/ops/MaxPool.js';
import { spreadWindowsBy } from '../src/ops/poolGradient.js';
import { isRefusal, type OpSpec } from '../src/ops/spec.js';
import type { Window } from '../src/ops/window.js';
import { Random } from '../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../src/tensor/tensor.js';
import type { Kernel } from './kernel.js';
import type { Scale } from './place.js';
import { swappedWeightGradient } from './swappedWeightGradient.js';

/* Pieces of training steps that have several decompositions, at sizes as nets have them. */

export const kernelKinds = ['forward', 'dx', 'dw', 'maxpool', 'averagepool', 'batchnorm'] as const;

export type KernelKind = (typeof kernelKinds)[number];

/** One piece at one size, in all forms that fit it. */
export interface KernelCase {
  readonly kind: KernelKind;
  readonly title: string;
  readonly forms: ReadonlyMap<string, Kernel>;
  /** As the compiler emits it. */
  readonly chosen: Kernel;
}

/** A convolution or pool over square images. */
interface Sizes {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly group: number;
}

function sizes(batch: number, inChannels: number, outChannels: number, size: number, kernel: number, more = {}): Sizes {
  return { batch, inChannels, outChannels, size, kernel, stride: 1, group: 1, ...more };
}

const convolutions: readonly Sizes[] = [
  sizes(128, 3, 16, 32, 3),
  sizes(128, 16, 16, 32, 3),
  sizes(128, 16, 32, 32, 3, { stride: 2 }),
  sizes(128, 32, 32, 16, 3),
  sizes(128, 64, 64, 8, 3),
  sizes(100, 1, 32, 28, 5),
  sizes(100, 32, 64, 14, 5),
  sizes(100, 6, 8, 14, 5),
  sizes(128, 6, 6, 32, 3),
  sizes(128, 11, 13, 16, 3),
  sizes(128, 12, 24, 32, 3, { stride: 2 }),
  sizes(128, 25, 25, 8, 3),
  sizes(16, 3, 64, 224, 7, { stride: 2 }),
  sizes(16, 64, 64, 56, 3),
  sizes(16, 256, 64, 56, 1),
  sizes(16, 64, 256, 56, 1),
  sizes(16, 1024, 256, 14, 1),
  sizes(16, 256, 512, 56, 1, { stride: 2 }),
  sizes(128, 16, 32, 32, 1, { stride: 2 }),
  sizes(16, 512, 512, 7, 3),
  sizes(16, 64, 64, 56, 3, { group: 64 }),
];

const pools: readonly Sizes[] = [
  sizes(100, 32, 32, 28, 2, { stride: 2 }),
  sizes(16, 64, 64, 112, 3, { stride: 2 }),
  sizes(128, 64, 64, 16, 2, { stride: 2 }),
  sizes(16, 256, 256, 56, 2, { stride: 2 }),
];

/** Means over whole images are pools to some files. */
const means: readonly Sizes[] = [...pools, sizes(16, 512, 512, 7, 7, { stride: 7 })];

const norms: readonly Sizes[] = [sizes(128, 16, 16, 32, 1), sizes(128, 64, 64, 8, 1), sizes(16, 256, 256, 56, 1)];

/** Batches of `small` are a sixteenth, and images of many pixels are halved. */
const SMALLER = 16;
const MANY_ROWS = 56;

function scaledDown(s: Sizes): Sizes {
  const size = s.size >= MANY_ROWS ? s.size / 2 : s.size;
  return { ...s, batch: Math.ceil(s.batch / SMALLER), size };
}

/** Where the operands of a form lie: in blocks, or in the plain layout, into which the form's user has to reorder them. */
type Layout = 'plain' | 'blocked' | 'reordered';

/**
 * @param batch in place of the cases' own
 * @returns all cases for an engine; those in blocks only where it has them.
 */
export function kernelCases(target: Engine, scale: Scale, batch?: number): KernelCase[] {
  const scaled = (s: Sizes): Sizes => {
    const sized = scale === 'small' ? scaledDown(s) : s;
    return batch === undefined ? sized : { ...sized, batch };
  };
  const layouts: Layout[] = target.features.has('nchwc16') ? ['plain', 'blocked'] : ['plain'];
  const each = (list: readonly Sizes[], make: (s: Sizes, target: Engine, layout: Layout) => KernelCase) =>
    layouts.flatMap((layout) => list.map((s) => make(scaled(s), target, layout)));
  return [
    ...each(convolutions, forwardCase),
    ...each(convolutions, inputGradientCase),
    ...each(convolutions, weightGradientCase),
    ...each(pools, maxPoolCase),
    ...means.map((s) => averagePoolCase(scaled(s), target)),
    ...each(norms, batchNormCase),
  ];
}

function windowOf({ size, kernel, stride }: Sizes, pad = (kernel - 1) >> 1): Window {
  const output = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  const after = (output - 1) * stride + kernel - size - pad;
  const both = (x: number) => [x, x];
  return {
    kernel: both(kernel),
    strides: both(stride),
    dilations: [1, 1],
    before: both(pad),
    after: both(after),
    input: both(size),
    output: both(output),
  };
}

function problemOf({ batch, group, inChannels, outChannels }: Sizes, window: Window): ConvProblem {
  const [c, m] = [inChannels / group, outChannels / group];
  return { dtype: 'float32', batch, group, inChannels: c, outChannels: m, window };
}

function titleOf({ batch, inChannels, outChannels, size, kernel, stride, group }: Sizes, layout: Layout): string {
  const channels = inChannels === outChannels ? `${inChannels}` : `${inChannels}→${outChannels}`;
  const window = kernel > 1 ? ` ${kernel}×${kernel}` : '';
  const rest = `${stride > 1 ? ` /${stride}` : ''}${group > 1 ? ' depthwise' : ''}${layout === 'blocked' ? ', blocks' : ''}`;
  return `${batch}: ${channels} ch ${size}²${window}${rest}`;
}

/** What a form is emitted from. */
interface Operand {
  readonly name: string;
  readonly shape: readonly number[];
}

type Emit = (g: GraphBuilder, operands: Readonly<Record<string, Value>>) => readonly Value[];

/** A kernel whose operands lie as `layout` says; images of fewer channels than a block stay plain. */
function kernelOf(target: Engine, layout: Layout, operands: readonly Operand[], emit: Emit): Kernel {
  const inBlocks = (shape: readonly number[]) => layout !== 'plain' && shape.length === 4 && shape[1] >= BLOCK;
  const lies = ({ name, shape }: Operand) => inBlocks(shape) && name !== 'w';
  const inputs = operands.map((operand, i): [string, Tensor] => {
    const { name, shape } = operand;
    const [n, c, ...rest] = shape;
    return lies(operand)
      ? [`${name}/block`, drawn([n, wholeBlocks(c), ...rest], i)]
      : [name, drawn(shape, i, name === 'w' ? 0.1 : 1)];
  });
  return {
    target,
    inputs: new Map(inputs),
    emit(g, given) {
      const values = operands.map((operand): [string, Value] => {
        const { name, shape } = operand;
        if (!lies(operand)) return [name, given.get(name)!];
        const block = given.get(`${name}/block`)!;
        if (layout === 'blocked') return [name, plainForm(g, { block, channels: shape[1] }, name)];
        const [plain] = g.emit('ReorderOutput', [block], [{ dtype: 'float32', shape }], { channels: shape[1] }, NCHWC);
        return [name, plain];
      });
      const results = emit(g, Object.fromEntries(values));
      // Weight gradients leave the blocks; images stay in them.
      return results.map((v) => (inBlocks(v.shape) ? blockedForm(g, v).block : v));
    },
  };
}

function drawn(shape: readonly number[], stream: number, reach = 1): Tensor {
  const random = Random.stream(0, 0x6b, stream);
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = reach * (2 * random.uniform() - 1);
  return float32(shape, data);
}

function without(target: Engine, ...features: Feature[]): Engine {
  return { ...target, features: new Set([...target.features].filter((f) => !features.includes(f))) };
}

function convOperands(s: Sizes, window: Window): Record<'x' | 'w' | 'dy', Operand> {
  return {
    x: { name: 'x', shape: [s.batch, s.inChannels, ...window.input] },
    w: { name: 'w', shape: [s.outChannels, s.inChannels / s.group, ...window.kernel] },
    dy: { name: 'dy', shape: [s.batch, s.outChannels, ...window.output] },
  };
}

function forwardCase(s: Sizes, target: Engine, layout: Layout): KernelCase {
  const window = windowOf(s);
  const { x, w } = convOperands(s, window);
  const kernel = (emit: Emit) => kernelOf(target, layout, [x, w], emit);
  const forms = new Map([['direct', kernel((g, o) => [convolve(g, o.x, o.w, window, s.group)])]]);
  if (
    target.features.has('nchwc16') &&
    convFitsBlocks(problemOf(s, window), layout === 'blocked' && s.inChannels >= BLOCK)
  )
    forms.set(
      'blocked',
      kernel((g, o) => [blockedConv(g, o.x, o.w, null, window)]),
    );
  const chosen = kernel((g, o) => [
    convForward(g, o.x, o.w, null, window, s.group, 'y') ?? convolve(g, o.x, o.w, window, s.group),
  ]);
  return { kind: 'forward', title: titleOf(s, layout), forms, chosen };
}

function inputGradientCase(s: Sizes, target: Engine, layout: Layout): KernelCase {
  const window = windowOf(s);
  const { dy, w } = convOperands(s, window);
  const kernel = (emit: Emit) => kernelOf(target, layout, [dy, w], emit);
  const names: InputGradient[] = ['transposed'];
  if (s.stride === 1) names.unshift('flipped');
  if (target.features.has('nchwc16') && inputGradientFitsBlocks(problemOf(s, window))) names.push('blocked');
  if (target.features.has('native')) names.push('native');
  const forms = names.map((name): [string, Kernel] => [
    name,
    kernel((g, o) => [inputGradientBy(name, g, o.dy, o.w, window, s.group)]),
  ]);
  const chosen = kernel((g, o) => [convInputGradient(g, o.dy, o.w, window, s.group)]);
  return { kind: 'dx', title: titleOf(s, layout), forms: new Map(forms), chosen };
}

function weightGradientCase(s: Sizes, target: Engine, layout: Layout): KernelCase {
  const window = windowOf(s);
  const { x, w, dy } = convOperands(s, window);
  const kernel = (emit: Emit) => kernelOf(target, layout, [x, dy], emit);
  const forms = weightGradientNames(s, target, window).map((name): [string, Kernel] => [
    name,
    kernel((g, o) => [weightGradientBy(name, g, o.dy, o.x, w, window, s.group)]),
  ]);
  if (s.group === 1) forms.push(['swapped', kernel((g, o) => [swappedWeightGradient(g, o.dy, o.x, w.shape, window)])]);
  const chosen = kernel((g, o) => [convWeightGradient(g, o.dy, o.x, w, window, s.group)]);
  return { kind: 'dw', title: titleOf(s, layout), forms: new Map(forms), chosen };
}

function weightGradientNames(s: Sizes, target: Engine, window: Window): WeightGradient[] {
  const problem = problemOf(s, window);
  const names: WeightGradient[] = ['taps'];
  if (problem.inChannels === 1 && problem.outChannels === 1) names.push('products');
  if (s.group === 1) names.push('im2col');
  if (target.features.has('nchwc16') && weightGradientFitsBlocks(problem)) names.push('blocked');
  if (target.features.has('native')) names.push('native');
  return names;
}

/** Forward and backward, because what the forward pass keeps differs. */
function maxPoolCase(s: Sizes, target: Engine, layout: Layout): KernelCase {
  const window = windowOf(s);
  const [{ x, dy }, attributes] = [convOperands(s, window), poolAttributes(window)];
  const emit: Emit = (g, o) => forwardAndBackward(g, MaxPool, [o.x], window.output, attributes, o.dy);
  const kernel = (engine: Engine, lies: Layout = layout === 'blocked' ? 'reordered' : layout) =>
    kernelOf(engine, lies, [x, dy], emit);
  const forms = new Map([['comparison', kernel(without(target, 'native', 'MaxPool.Indices', 'MaxUnpool'))]]);
  if (target.features.has('native')) forms.set('native', kernel(target));
  if (target.features.has('MaxPool.Indices')) forms.set('scattered', kernel(without(target, 'MaxUnpool')));
  if (target.features.has('MaxUnpool') && s.kernel <= s.stride) forms.set('unpooled', kernel(target));
  if (layout === 'blocked' && s.kernel === 2) forms.set('blocked', kernel(target, 'blocked'));
  return { kind: 'maxpool', title: titleOf(s, layout), forms, chosen: kernel(target, layout) };
}

function poolAttributes({ kernel, strides, before }: Window): Parameters<typeof makeNode>[3] {
  return { kernel_shape: kernel, strides, pads: [...before, ...before] };
}

function averagePoolCase(s: Sizes, target: Engine): KernelCase {
  const window = windowOf(s, 0);
  const { x, dy } = convOperands(s, window);
  const node = makeNode('AveragePool', ['x'], ['y'], poolAttributes(window));
  const backward: Emit = (g, o) => {
    const outputs = [{ name: 'y', dtype: 'float32' as const, shape: dy.shape }];
    const input: Value = { name: 'x', dtype: 'float32', shape: x.shape };
    return gradients(g, AveragePool, { node, inputs: [input], outputs, saved: {} }, o.dy);
  };
  const kernel = (emit: Emit) => kernelOf(target, 'plain', [dy], emit);
  const mean = (g: GraphBuilder, v: Value) => g.mul(v, g.scalar(1 / s.kernel ** 2));
  const forms = new Map([['transposed', kernel((g, o) => [spreadWindowsBy('transposed', g, mean(g, o.dy), window)])]]);
  if (s.kernel === s.stride)
    forms.set(
      'repeated',
      kernel((g, o) => [spreadWindowsBy('repeated', g, mean(g, o.dy), window)]),
    );
  if (target.features.has('native')) forms.set('native', kernel(backward));
  return { kind: 'averagepool', title: titleOf(s, 'plain'), forms, chosen: kernel(backward) };
}

/** Forward with the statistics of the batch, and backward. */
function batchNormCase(s: Sizes, target: Engine, layout: Layout): KernelCase {
  const shape = [s.batch, s.inChannels, s.size, s.size];
  const vectors = ['scale', 'bias', 'mean', 'var'].map((name) => ({ name, shape: [s.inChannels] }));
  const operands = [{ name: 'x', shape }, ...vectors, { name: 'dy', shape }];
  const emit: Emit = (g, o) => {
    const inputs = [o.x, o.scale, o.bias, o.mean, o.var];
    return forwardAndBackward(g, BatchNormalization, inputs, [s.size, s.size], { epsilon: { float: 1e-5 } }, o.dy);
  };
  const kernel = (engine: Engine, lies: Layout = layout === 'blocked' ? 'reordered' : layout) =>
    kernelOf(engine, lies, operands, emit);
  const byKernel = target.features.has('BatchNormalization.training_mode');
  const composed = kernel(without(target, 'native', 'BatchNormalization.training_mode'));
  const forms = new Map([['composed', composed]]);
  if (byKernel) forms.set('kernel', kernel(without(target, 'native')));
  if (target.features.has('native')) forms.set('native', kernel(target));
  if (layout === 'blocked') forms.set('blocked', kernel(target, 'blocked'));
  return { kind: 'batchnorm', title: titleOf(s, layout), forms, chosen: kernel(target, layout) };
}

/** @returns y and the gradients of the first three inputs, as far as there are any. */
function forwardAndBackward(
  g: GraphBuilder,
  spec: OpSpec,
  inputs: readonly Value[],
  spatial: readonly number[],
  attributes: Parameters<typeof makeNode>[3],
  dy: Value,
): Value[] {
  const outputs = [{ name: 'y', dtype: 'float32' as const, shape: [...inputs[0].shape.slice(0, 2), ...spatial] }];
  const node = makeNode(
    spec.op,
    inputs.map((v) => v.name),
    ['y'],
    attributes,
  );
  const attrs = new Attributes(node);
  const context = { batchNorm: 'live' as const, update: () => {} };
  const given = { op: spec.op, name: spec.op, inputs, outputs, attrs, saved: {} };
  const lowered = spec.lower?.(g, given, context) ?? { outputs: g.copy(node, inputs, outputs).map((v) => v!) };
  const saved = lowered.saved ?? {};
  return [lowered.outputs[0], ...gradients(g, spec, { node, inputs, outputs: lowered.outputs, saved }, dy)];
}

interface Emitted {
  readonly node: ReturnType<typeof makeNode>;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly saved: Readonly<Record<string, Value>>;
}

function gradients(g: GraphBuilder, { op, grad }: OpSpec, { node, ...rest }: Emitted, dy: Value): Value[] {
  if (isRefusal(grad)) throw new Error(`${op} has no gradient`);
  const thunks = grad(g, { op, name: op, attrs: new Attributes(node), ...rest }, [dy]);
  return thunks.slice(0, 3).flatMap((thunk) => (thunk ? [thunk()] : []));
}
