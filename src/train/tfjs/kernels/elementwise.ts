import { broadcastShape } from '../../../onnx/builder.js';
import { kindOf } from '../device.js';
import { aligned, type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** Functions of single elements, and of pairs that broadcast. Operands stay in the order of memory in which they lie. */

type Formula = (f: Arithmetic, x: readonly Slot[], node: PlannedNode) => Slot;

/** Operators of TensorFlow on slots. */
class Arithmetic {
  constructor(private readonly p: Planner) {}

  unary(op: string, x: Slot): Slot {
    return this.p.op(op, [x], x.shape);
  }
  binary(op: string, a: Slot, b: Slot | number, kind = a.kind): Slot {
    const right = typeof b === 'number' ? this.like(a, b) : b;
    return this.p.op(op, [a, right], broadcastShape(a.shape, right.shape), {}, kind);
  }
  private like(a: Slot, value: number): Slot {
    return this.p.constant([], a.kind === 'int32' ? Int32Array.of(value) : Float32Array.of(value));
  }
  add = (a: Slot, b: Slot | number): Slot => this.binary('AddV2', a, b);
  sub = (a: Slot, b: Slot | number): Slot => this.binary('Sub', a, b);
  mul = (a: Slot, b: Slot | number): Slot => this.binary('Mul', a, b);
  max = (a: Slot, b: Slot | number): Slot => this.binary('Maximum', a, b);
  min = (a: Slot, b: Slot | number): Slot => this.binary('Minimum', a, b);
  select(condition: Slot, a: Slot, b: Slot): Slot {
    const shape = broadcastShape(condition.shape, broadcastShape(a.shape, b.shape));
    return this.p.op('SelectV2', [condition, a, b], shape, {}, a.kind);
  }
  zero(like: Slot): Slot {
    return this.like(like, 0);
  }
  cast(x: Slot, kind: Slot['kind']): Slot {
    if (x.kind === kind) return x;
    if (kind === 'bool') return this.binary('NotEqual', x, 0, 'bool');
    return this.p.op('Cast', [x], x.shape, { SrcT: { type: x.kind }, DstT: { type: kind }, Truncate: false }, kind);
  }
}

function elementwise(formula: Formula): Kernel {
  return (p, node) => {
    const names = node.inputs.filter((name) => name !== '');
    const { slots, order } = aligned(p, names, p.shape(node.outputs[0]));
    p.give(node.outputs[0], formula(new Arithmetic(p), slots, node), order);
  };
}

const unary = (op: string): Kernel => elementwise((f, [x]) => f.unary(op, x));
const binary = (op: string): Kernel => elementwise((f, [a, b]) => f.binary(op, a, b));
const comparison = (op: string): Kernel => elementwise((f, [a, b]) => f.binary(op, a, b, 'bool'));
const many = (op: string): Kernel => elementwise((f, x) => x.reduce((a, b) => f.binary(op, a, b)));

/** max(x, 0) + α·(exp(min(x, 0)/β) − 1), times γ. */
const exponential =
  (alpha: (n: PlannedNode) => number, beta: (n: PlannedNode) => number, gamma: (n: PlannedNode) => number): Formula =>
  (f, [x], n) => {
    const below = f.mul(f.unary('Expm1', f.mul(f.min(x, 0), 1 / beta(n))), alpha(n));
    const y = f.add(f.unary('Relu', x), below);
    return gamma(n) === 1 ? y : f.mul(y, gamma(n));
  };

const float =
  (name: string, otherwise: number) =>
  ({ attrs }: PlannedNode): number =>
    attrs.float(name, otherwise);
const one = (): number => 1;

function hardSigmoid(f: Arithmetic, x: Slot, alpha: number, beta: number): Slot {
  return f.max(f.min(f.add(f.mul(x, alpha), beta), 1), 0);
}

function clip(f: Arithmetic, [x, ...limits]: readonly Slot[], { inputs, attrs }: PlannedNode): Slot {
  const [low, high] = [attrs.float('min'), attrs.float('max')];
  let y = x;
  let at = 0;
  if (inputs[1]) y = f.max(y, limits[at++]);
  if (inputs[2]) y = f.min(y, limits[at]);
  if (low !== undefined) y = f.max(y, low);
  return high === undefined ? y : f.min(y, high);
}

const cast: Kernel = (p, { op, inputs, ...node }) => {
  const [input] = inputs;
  const { dtype } = p.type(node.outputs[0]);
  const kind = kindOf(dtype);
  lacks(!kind, `${op} to ${dtype}`);
  if (kind === p.kind(input)) p.alias(node.outputs[0], input);
  else elementwise((f, [x]) => f.cast(x, kind!))(p, { op, inputs: [input], ...node });
};

export const elementwiseKernels: Kernels = {
  ...Object.fromEntries(
    [
      'Abs Neg Exp Log Sqrt Reciprocal Sigmoid Tanh Relu Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh',
      'Floor Ceil Round Sign Erf Softplus Softsign',
    ]
      .join(' ')
      .split(' ')
      .map((op) => [op, unary(op)]),
  ),
  Not: unary('LogicalNot'),
  IsNaN: elementwise((f, [x]) => f.binary('NotEqual', x, x, 'bool')),
  IsInf: elementwise((f, [x], { attrs }) => {
    const [up, down] = [attrs.int('detect_positive', 1), attrs.int('detect_negative', 1)];
    const infinite = up && down ? f.unary('Abs', x) : down ? f.unary('Neg', x) : x;
    return f.binary('Equal', infinite, Infinity, 'bool');
  }),
  Add: binary('AddV2'),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: elementwise((f, [a, b]) => f.binary(a.kind === 'int32' ? 'TruncateDiv' : 'RealDiv', a, b)),
  Pow: elementwise((f, [a, b]) => f.binary('Pow', a, f.cast(b, a.kind))),
  Mod: elementwise((f, [a, b], { attrs }) => f.binary(attrs.int('fmod', 0) ? 'Mod' : 'FloorMod', a, b)),
  Max: many('Maximum'),
  Min: many('Minimum'),
  Sum: many('AddV2'),
  Mean: elementwise((f, x) =>
    f.mul(
      x.reduce((a, b) => f.add(a, b)),
      1 / x.length,
    ),
  ),
  Equal: comparison('Equal'),
  Less: comparison('Less'),
  LessOrEqual: comparison('LessEqual'),
  Greater: comparison('Greater'),
  GreaterOrEqual: comparison('GreaterEqual'),
  And: binary('LogicalAnd'),
  Or: binary('LogicalOr'),
  Xor: comparison('NotEqual'),
  BitwiseAnd: binary('BitwiseAnd'),
  BitwiseOr: binary('BitwiseOr'),
  BitwiseXor: binary('BitwiseXor'),
  BitwiseNot: unary('Invert'),
  Where: elementwise((f, [condition, a, b]) => f.select(condition, a, b)),
  PRelu: elementwise((f, [x, slope]) => f.add(f.unary('Relu', x), f.mul(f.min(x, 0), slope))),
  LeakyRelu: elementwise((f, [x], n) => f.add(f.unary('Relu', x), f.mul(f.min(x, 0), n.attrs.float('alpha', 0.01)))),
  Elu: elementwise(exponential(float('alpha', 1), one, one)),
  Celu: elementwise(exponential(float('alpha', 1), float('alpha', 1), one)),
  Selu: elementwise(
    exponential(float('alpha', 1.67326319217681884765625), one, float('gamma', 1.05070102214813232421875)),
  ),
  HardSigmoid: elementwise((f, [x], n) => hardSigmoid(f, x, n.attrs.float('alpha', 0.2), n.attrs.float('beta', 0.5))),
  HardSwish: elementwise((f, [x]) => f.mul(x, hardSigmoid(f, x, 1 / 6, 0.5))),
  Mish: elementwise((f, [x]) => f.mul(x, f.unary('Tanh', f.unary('Softplus', x)))),
  ThresholdedRelu: elementwise((f, [x], n) =>
    f.select(f.binary('Greater', x, n.attrs.float('alpha', 1), 'bool'), x, f.zero(x)),
  ),
  Shrink: elementwise((f, [x], { attrs }) => {
    const [bias, limit] = [attrs.float('bias', 0), attrs.float('lambd', 0.5)];
    const above = f.select(f.binary('Greater', x, limit, 'bool'), f.sub(x, bias), f.zero(x));
    return f.select(f.binary('Less', x, -limit, 'bool'), f.add(x, bias), above);
  }),
  Clip: elementwise(clip),
  Cast: cast,
  CastLike: cast,
  'org.tensorflow.ReluGrad': elementwise((f, [dy, y]) => f.binary('ReluGrad', dy, y)),
};
