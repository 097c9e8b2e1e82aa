import type { Attributes } from '../onnx/attributes.js';
import { isBlocked } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { makeNode } from '../onnx/make.js';
import type { NodeProto } from '../onnx/proto.js';
import { float32, sizeOf } from '../tensor/tensor.js';
import { blockedNorm, blockedNormGradient } from './blockedNorm.js';
import { nativeNorm, nativeNormGradient } from './native.js';
import {
  defineOp,
  type GradRule,
  type LowerContext,
  type Lowered,
  type NormaliseContext,
  type OpNode,
} from './spec.js';

/*
 * Y = scale · inv · (X − mean) + B per channel, inv = 1/√(var + ε). With the stored statistics it is affine in X. With
 * those of the batch, over the n elements that a channel has in it, mean and inv depend on X as well:
 *
 *   dB = Σ dY,  dScale = inv · Σ dY·(X − mean),  dX = scale · inv · (dY − dB/n − (X − mean) · inv · dScale/n)
 */
export const BatchNormalization = defineOp({
  op: 'BatchNormalization',
  inputs: ['X', 'scale', 'B', 'input_mean', 'input_var'],
  outputs: ['Y', 'running_mean?', 'running_var?'],
  trains: [1, 2],
  normalise,
  lower: (g, node, context) => {
    const training = node.attrs.int('training_mode', 0) !== 0;
    return training || context.batchNorm === 'live' ? live(g, node, context, training) : undefined;
  },
  grad: (g, node, dys) => (node.saved.mean ? liveGradient(g, node, dys) : frozenGradient(g, node, dys)),
  channels: ({ inputs: [x, ...parameters], outputs }) => {
    const y = outputs[0];
    const axis = Math.min(1, y.shape.length - 1);
    const perElement = parameters[0]!.shape.length > 1;
    const along = y.shape.flatMap((_, i) =>
      i === 0 || i === axis || perElement
        ? [
            {
              from: { value: x!, axis: i },
              to: { value: y, axis: i },
              constants: i === axis ? ('same' as const) : ('never' as const),
            },
          ]
        : [],
    );
    const others = [...parameters, ...outputs.slice(1)].flatMap((value) =>
      value
        ? value.shape.map((_, i) => ({
            from: { value, axis: i },
            to: { value: y, axis: axis + i },
            constants: perElement ? ('never' as const) : ('same' as const),
          }))
        : [],
    );
    const scale = { from: { value: parameters[0]!, axis: 0 }, to: { value: y, axis } };
    return { links: [...along, ...others], ...(!perElement && { gains: [scale] }) };
  },
  examples: [
    {
      title: 'images',
      inputs: [[2, 3, 4, 4], [3], [3], [3], float32([3], [0.5, 1, 2])],
      parameters: [1, 2, 3, 4],
    },
    {
      title: 'features, with epsilon',
      inputs: [[4, 3], [3], [3], [3], float32([3], [0.5, 1, 2])],
      parameters: [1, 2, 3, 4],
      attributes: { epsilon: { float: 0.01 } },
    },
    {
      title: 'statistics per element',
      inputs: [[2, 3, 2], [3, 2], [3, 2], [3, 2], float32([3, 2], [0.5, 1, 2, 0.7, 0.9, 1.5])],
      parameters: [1, 2, 3, 4],
      attributes: { spatial: 0 },
      opset: 7,
    },
    {
      title: 'momentum and spatial of old files',
      inputs: [[2, 3, 2], [3], [3], [3], float32([3], [0.5, 1, 2])],
      parameters: [1, 2, 3, 4],
      attributes: { spatial: 1, momentum: { float: 0.8 } },
      opset: 8,
    },
    { title: '1-D', inputs: [[2, 3, 5], [3], [3], [3], float32([3], [0.5, 1, 2])], parameters: [1, 2, 3, 4] },
  ],
});

/**
 * Before opset 14 statistics of the batch were asked for by naming more outputs, and before opset 9 `spatial = 0` meant
 * statistics per element: an affine map of every element.
 */
function normalise(node: NodeProto, context: NormaliseContext): NodeProto[] | undefined {
  if (context.opset >= 14) return undefined;
  const [x, scale, bias, mean, variance] = node.input;
  const find = (name: string) => node.attribute.find((a) => a.name === name);
  const perElement = Number(find('spatial')?.i ?? 1) === 0 && (context.shape(scale)?.length ?? 1) > 1;
  if (perElement) {
    const epsilon = context.constant(float32([], [find('epsilon')?.f ?? 1e-5]));
    const names = ['shifted', 'variance', 'deviation', 'normal', 'scaled'].map((n) =>
      context.fresh(`${node.output[0]}/${n}`),
    );
    return [
      makeNode('Sub', [x, mean], [names[0]]),
      makeNode('Add', [variance, epsilon], [names[1]]),
      makeNode('Sqrt', [names[1]], [names[2]]),
      makeNode('Div', [names[0], names[2]], [names[3]]),
      makeNode('Mul', [names[3], scale], [names[4]]),
      makeNode('Add', [names[4], bias], [node.output[0]]),
    ].map((n) => ({ ...n, name: n.output[0] }));
  }
  const training = node.output.slice(1).some((o) => o !== '');
  const kept = node.attribute.filter((a) => a.name === 'epsilon' || a.name === 'momentum');
  const whole = makeNode(
    node.opType,
    node.input,
    training ? node.output.slice(0, 3) : [node.output[0]],
    {},
    { name: node.name },
  );
  whole.attribute.push(...kept);
  if (training) whole.attribute.push(...makeNode('', [], [], { training_mode: 1 }).attribute);
  return [whole];
}

/** Statistics of the batch, and the stored ones drawn towards them (by the biased variance, as ONNX defines it). */
function live(g: GraphBuilder, node: OpNode, context: LowerContext, training: boolean): Lowered {
  const [x, , , runningMean, runningVar] = node.inputs;
  const momentum = node.attrs.float('momentum', 0.9);
  const towards = (running: Value, batch: Value): Value => g.add(g.mul(running, momentum), g.mul(batch, 1 - momentum));
  // Where the stored mean follows the batch's, it is near it; else nothing known is.
  if (!training && isBlocked(g, x)) return blocked(g, node, context, towards);
  const epsilon = node.attrs.float('epsilon', 1e-5);
  if (g.engine.features.has('native') && x.dtype === 'float32') {
    const [, scale, bias] = node.inputs;
    const { y, mean, variance, kept } = nativeNorm(g, x, scale, bias, epsilon, node.outputs[0].name);
    const [nextMean, nextVar] = [towards(runningMean, mean), towards(runningVar, variance)];
    if (!training) {
      context.update(runningMean, nextMean);
      context.update(runningVar, nextVar);
    }
    return { outputs: [y, nextMean, nextVar], saved: { mean, kept1: kept[0], kept2: kept[1], kept3: kept[2] } };
  }
  const { y, mean, variance } = g.engine.features.has('BatchNormalization.training_mode')
    ? byKernel(g, node)
    : composed(g, node);
  const inv = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  const nextMean = towards(runningMean, mean);
  const nextVar = towards(runningVar, variance);
  // A file that asks for the batch's statistics never reads the stored ones.
  if (!training) {
    context.update(runningMean, nextMean);
    context.update(runningVar, nextVar);
  }
  const channels = x.shape[1];
  if (mean.shape.length !== 1 || mean.shape[0] !== channels) throw new Error('statistics are per channel');
  return { outputs: [y, nextMean, nextVar], saved: { mean, inv } };
}

function blocked(
  g: GraphBuilder,
  { inputs, outputs, attrs }: OpNode,
  context: LowerContext,
  towards: (running: Value, batch: Value) => Value,
): Lowered {
  const [x, scale, bias, runningMean, runningVar] = inputs;
  const epsilon = attrs.float('epsilon', 1e-5);
  const { y, batchMean, variance, ...saved } = blockedNorm(g, x, scale, bias, runningMean, epsilon, outputs[0].name);
  const [nextMean, nextVar] = [towards(runningMean, batchMean), towards(runningVar, variance)];
  context.update(runningMean, nextMean);
  context.update(runningVar, nextVar);
  return { outputs: [y, nextMean, nextVar], saved: { ...saved } };
}

interface Normalised {
  readonly y: Value;
  readonly mean: Value;
  readonly variance: Value;
}

/**
 * With a momentum of 0 the kernel's running statistics are those of the batch, whatever the stored ones are.
 *
 * onnxruntime's kernel writes them over its inputs, even where these are read again or belong to the caller: it is given
 * values of its own, each by another factor so that no optimisation makes one of two.
 */
function byKernel(g: GraphBuilder, node: OpNode): Normalised {
  const { attrs, inputs, outputs } = node;
  const [x, scale, bias, runningMean, runningVar] = inputs;
  const own = (running: Value): Value => g.mul(running, 1 / (g.nodes.length + 2));
  const statistics = { dtype: runningMean.dtype, shape: runningMean.shape };
  const [y, mean, variance] = g.emit(
    'BatchNormalization',
    [x, scale, bias, own(runningMean), own(runningVar)],
    [{ dtype: outputs[0].dtype, shape: outputs[0].shape, name: outputs[0].name }, statistics, statistics],
    { training_mode: 1, momentum: { float: 0 }, epsilon: { float: attrs.float('epsilon', 1e-5) } },
  );
  return { y, mean, variance };
}

function composed(g: GraphBuilder, { inputs, attrs }: OpNode): Normalised {
  const [x, scale, bias] = inputs;
  const axes = otherAxes(x);
  const mean = g.reduceMean(x, axes);
  const centred = g.sub(x, perChannel(g, mean, x));
  const variance = g.reduceMean(g.mul(centred, centred), axes);
  const inv = g.reciprocal(g.sqrt(g.add(variance, attrs.float('epsilon', 1e-5))));
  const y = g.add(g.mul(centred, perChannel(g, g.mul(scale, inv), x)), perChannel(g, bias, x));
  return { y, mean, variance };
}

function liveGradient(
  g: GraphBuilder,
  { inputs, saved, attrs }: OpNode,
  [dy]: Parameters<GradRule>[2],
): ReturnType<GradRule> {
  const [x, scale] = inputs;
  const { mean, inv, shifted, kept1, kept2, kept3 } = saved;
  if (kept1) {
    const epsilon = attrs.float('epsilon', 1e-5);
    const made = once(() => nativeNormGradient(g, dy!, x, scale, [kept1, kept2, kept3], epsilon));
    return [() => made()[0], () => made()[1], () => made()[2], null, null];
  }
  if (shifted) {
    const made = blockedNormGradient(g, dy!, scale, { shifted, mean, inv });
    return [made.dX, () => made.dScale, () => made.dBias, null, null];
  }
  const axes = otherAxes(x);
  const count = sizeOf(axes.map((a) => x.shape[a]));
  const centred = once(() => g.sub(x, perChannel(g, mean, x)));
  const dBias = once(() => g.reduceSum(dy!, axes));
  const dScale = once(() => g.mul(inv, g.reduceSum(g.mul(dy!, centred()), axes)));
  const dX = (): Value => {
    const factor = g.mul(scale, inv);
    const slope = g.div(g.mul(g.mul(factor, inv), dScale()), -count);
    const shift = g.div(g.mul(factor, dBias()), -count);
    return g.add(
      g.mul(dy!, perChannel(g, factor, x)),
      g.add(g.mul(centred(), perChannel(g, slope, x)), perChannel(g, shift, x)),
    );
  };
  return [dX, dScale, dBias, null, null];
}

function frozenGradient(g: GraphBuilder, node: OpNode, [dy]: Parameters<GradRule>[2]): ReturnType<GradRule> {
  const [x, scale, , mean, variance] = node.inputs;
  const axes = otherAxes(x);
  const inv = once(() => inverseDeviation(g, variance, node.attrs));
  const dBias = once(() => g.reduceSum(dy!, axes));
  const dScale = once(() => {
    const centred = g.sub(x, perChannel(g, mean, x));
    return g.mul(inv(), g.reduceSum(g.mul(dy!, centred), axes));
  });
  const factor = once(() => g.mul(scale, inv()));
  return [
    () => g.mul(dy!, perChannel(g, factor(), x)),
    dScale,
    dBias,
    () => g.neg(g.mul(factor(), dBias())),
    () => g.mul(g.mul(g.mul(factor(), inv()), dScale()), -0.5),
  ];
}

function inverseDeviation(g: GraphBuilder, variance: Value, attrs: Attributes): Value {
  return g.reciprocal(g.sqrt(g.add(variance, attrs.float('epsilon', 1e-5))));
}

function otherAxes(x: Value): number[] {
  return x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
}

/** A value per channel, in a shape that broadcasts over `x`. */
export function perChannel(g: GraphBuilder, vector: Value, x: Value): Value {
  return g.reshape(vector, [vector.shape[0], ...x.shape.slice(2).map(() => 1)]);
}

/** @returns a thunk that emits only when it is first called. */
export function once<T>(emit: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= emit();
    return made;
  };
}
