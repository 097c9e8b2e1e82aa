import { type DType, dtypeCodes, float32, int64, type Tensor } from '../tensor/tensor.js';
import { Attributes, type AttributeValue } from './attributes.js';
import { BlockedForms, lifted, plainForm, wholeBlocks } from './blocked.js';
import { type Engine, standardEngine } from './engine.js';
import { type Again, emitHalf, HalfForms, hasHalf, type Kind, noteMove } from './half.js';
import { makeNode, makeTensor } from './make.js';
import type { NodeProto, TensorProto } from './proto.js';

/** A value of a graph under construction: its shape is static and known. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The value itself where it is a constant of the graph. */
  readonly constant?: Tensor;
}

/** Element type and static shape of a value. */
export type ValueType = Pick<Value, 'dtype' | 'shape'>;

/** The opset of every graph that the builder emits; forms of operators are those of this version. */
export const TRAINING_OPSET = 18;

/**
 * Emits ONNX nodes (opset 18) with shapes tracked, so that gradient rules can be written as formulas.
 * Emitted names tell their origin: `<scope>/<Op>`, numbered where that is taken.
 */
export class GraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly domains = new Set<string>();
  /** Which values also lie in onnxruntime's blocked layout. */
  readonly blocked = new BlockedForms();
  /** Which values have a half-precision form. */
  readonly halves: HalfForms;
  /** Types of all values that nodes and initializers of this graph and of its subgraphs make. */
  readonly values: Map<string, ValueType>;
  private readonly taken: Set<string>;
  private readonly shared = new Map<string, Value>();
  private scope = '';

  /**
   * @param engine what will run the graph: rules may choose faster forms by it
   * @param outer the builder of the enclosing graph when this one emits a subgraph: names stay distinct from its
   */
  constructor(
    readonly engine: Engine = standardEngine,
    outer?: GraphBuilder,
  ) {
    this.taken = outer ? outer.taken : new Set();
    this.values = outer ? outer.values : new Map();
    this.halves = new HalfForms(outer?.halves);
  }

  /** Claims the name of a value that comes from outside (an input of the graph). */
  reserve(name: string): void {
    if (this.taken.has(name)) throw new Error(`two values are called ${name}`);
    this.taken.add(name);
  }

  /** Adds a constant under a name that was reserved. */
  define(name: string, tensor: Tensor): void {
    this.initializers.push(makeTensor(name, tensor));
    this.note({ name, dtype: tensor.dtype, shape: tensor.dims });
  }

  /** Runs `emit` with names prefixed by `scope`. */
  within<T>(scope: string, emit: () => T): T {
    const outer = this.scope;
    this.scope = scope;
    try {
      return emit();
    } finally {
      this.scope = outer;
    }
  }

  /** Runs `emit` with products in half precision where the engine has it. */
  inHalf<T>(emit: () => T): T {
    const outer = this.halves.on;
    this.halves.on = hasHalf(this.engine);
    try {
      return emit();
    } finally {
      this.halves.on = outer;
    }
  }

  /** @returns a name that no other value of this graph has. */
  unique(name: string): string {
    let candidate = name;
    for (let n = 1; this.taken.has(candidate); n++) candidate = `${name}_${n}`;
    this.taken.add(candidate);
    return candidate;
  }

  /**
   * Emits any operator. `outputs` are their dtypes and shapes; `null` inputs are omitted optional ones.
   * An elementwise one is emitted in the blocked layout where an operand lies in it, a product in half precision.
   */
  emit(
    op: string,
    inputs: readonly (Value | null)[],
    outputs: readonly { dtype: DType; shape: readonly number[]; name?: string }[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = '',
  ): Value[] {
    const blocks = domain === '' && outputs.length === 1 ? lifted(this, op, inputs, outputs[0]) : undefined;
    if (blocks) {
      const { name, dtype, shape } = outputs[0];
      const like = { dtype, shape: blockShape(shape), name: blockName(name) };
      const [block] = this.place(op, blocks, [like], attributes, domain);
      this.noteSum(op, blocks);
      return [plainForm(this, { block, channels: shape[1] }, name)];
    }
    const again: Again = (operands, output) => this.place(op, operands, [output], attributes, domain)[0];
    const [{ dtype, shape, name = this.scoped(op) }] = outputs;
    const int: Kind['int'] = (key, otherwise) => Number(attributes[key] ?? otherwise);
    const kind: Kind = { op, domain, int };
    const half = outputs.length === 1 && emitHalf(this, kind, inputs, { dtype, shape, name }, again);
    if (half) return [half];
    const values = this.place(op, inputs, outputs, attributes, domain);
    this.noteSum(op, inputs);
    if (values.length === 1) noteMove(this, kind, inputs, values[0], again);
    return values;
  }

  private scoped(op: string): string {
    return this.scope ? `${this.scope}/${op}` : op;
  }

  private noteSum(op: string, [a, b]: readonly (Value | null)[]): void {
    if (op === 'Add' && a && b && sameShape(a.shape, b.shape)) this.blocked.sums.add(this.nodes[this.nodes.length - 1]);
  }

  private place(
    op: string,
    inputs: readonly (Value | null)[],
    outputs: readonly { dtype: DType; shape: readonly number[]; name?: string }[],
    attributes: Readonly<Record<string, AttributeValue>>,
    domain: string,
  ): Value[] {
    if (domain) this.domains.add(domain);
    const values = outputs.map((o) => ({
      dtype: o.dtype,
      shape: o.shape,
      name: this.unique(o.name ?? this.scoped(op)),
    }));
    values.forEach((v) => this.note(v));
    this.nodes.push(
      makeNode(
        op,
        inputs.map((v) => v?.name ?? ''),
        values.map((v) => v.name),
        attributes,
        { name: values[0].name, domain },
      ),
    );
    return values;
  }

  /** Emits a copy of a given node, attributes and all; `undefined` outputs are left out, `null` inputs omitted. */
  copy(
    node: NodeProto,
    inputs: readonly (Value | null)[],
    outputs: readonly ({ dtype: DType; shape: readonly number[]; name: string } | undefined)[],
  ): (Value | undefined)[] {
    const only = outputs.length === 1 ? outputs[0] : undefined;
    const blocks = !node.domain && only ? lifted(this, node.opType, inputs, only) : undefined;
    if (blocks && only) {
      const { dtype, shape } = only;
      const block = { dtype, shape: blockShape(shape), name: this.unique(blockName(only.name)!) };
      this.note(block);
      const input = blocks.map((v) => v?.name ?? '');
      this.nodes.push({ ...node, name: block.name, input, output: [block.name] });
      this.noteSum(node.opType, blocks);
      return [plainForm(this, { block, channels: shape[1] }, only.name)];
    }
    const again: Again = (operands, output) => this.placeCopy(node, operands, [output])[0]!;
    const attributes = new Attributes(node);
    const int: Kind['int'] = (key, otherwise) => attributes.int(key, otherwise);
    const kind: Kind = { op: node.opType, domain: node.domain ?? '', int };
    const half = only && emitHalf(this, kind, inputs, only, again);
    if (half) return [half];
    const values = this.placeCopy(node, inputs, outputs);
    if (values.length === 1 && values[0]) noteMove(this, kind, inputs, values[0], again);
    return values;
  }

  private placeCopy(
    node: NodeProto,
    inputs: readonly (Value | null)[],
    outputs: readonly ({ dtype: DType; shape: readonly number[]; name: string } | undefined)[],
  ): (Value | undefined)[] {
    if (node.domain) this.domains.add(node.domain);
    const values = outputs.map((o) => o && { dtype: o.dtype, shape: o.shape, name: this.unique(o.name) });
    for (const v of values) if (v) this.note(v);
    this.nodes.push({
      ...node,
      name: values.find((v) => v !== undefined)?.name ?? node.name,
      input: inputs.map((v) => v?.name ?? ''),
      output: values.map((v) => v?.name ?? ''),
    });
    return values;
  }

  /** Gives values emitted since node `from` other names; they are taken as they are, so make them `unique` first. */
  rename(names: ReadonlyMap<string, string>, from = 0): void {
    const renamed = (name: string): string => names.get(name) ?? name;
    for (let i = from; i < this.nodes.length; i++) {
      const node = this.nodes[i];
      node.input = node.input.map(renamed);
      node.output = node.output.map(renamed);
      if (node.name) node.name = renamed(node.name);
    }
    this.blocked.rename(names);
    this.halves.rename(names);
    for (const [name, to] of names) {
      const type = this.values.get(name);
      if (type) this.values.set(to, type);
    }
  }

  private note({ name, dtype, shape }: Value): void {
    this.values.set(name, { dtype, shape });
  }

  private one(
    op: string,
    inputs: readonly (Value | null)[],
    shape: readonly number[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    dtype: DType = inputs[0]!.dtype,
    domain = '',
  ): Value {
    return this.emit(op, inputs, [{ dtype, shape }], attributes, domain)[0];
  }

  /** @returns a graph constant; equal small ones are shared. */
  constant(tensor: Tensor, name = 'const'): Value {
    const small = !Array.isArray(tensor.data) && tensor.data.length <= 16;
    const key = small ? `${tensor.dtype}[${tensor.dims}]${Array.from(tensor.data as ArrayLike<unknown>).join()}` : '';
    const known = small ? this.shared.get(key) : undefined;
    if (known) return known;
    const value: Value = { name: this.unique(name), dtype: tensor.dtype, shape: tensor.dims, constant: tensor };
    this.initializers.push(makeTensor(value.name, tensor));
    this.note(value);
    if (small) this.shared.set(key, value);
    return value;
  }

  scalar(x: number, dtype: DType = 'float32'): Value {
    if (dtype === 'float32') return this.constant(float32([], [x]));
    if (dtype === 'int64') return this.constant(int64([], [x]));
    if (dtype === 'int32') return this.constant({ dtype, dims: [], data: Int32Array.of(x) });
    if (dtype === 'float64') return this.constant({ dtype, dims: [], data: Float64Array.of(x) });
    if (dtype === 'bool') return this.constant({ dtype, dims: [], data: Uint8Array.of(x) });
    throw new TypeError(`no scalar constants of ${dtype}`);
  }

  ints(values: readonly number[]): Value {
    return this.constant(int64([values.length], values));
  }

  private lift(x: Value | number, like: Value): Value {
    return typeof x === 'number' ? this.scalar(x, like.dtype) : x;
  }

  private binary(op: string, a: Value, b: Value | number, dtype: DType = a.dtype): Value {
    const right = this.lift(b, a);
    return this.one(op, [a, right], broadcastShape(a.shape, right.shape), {}, dtype);
  }

  add(a: Value, b: Value | number): Value {
    return this.binary('Add', a, b);
  }
  sub(a: Value, b: Value | number): Value {
    return this.binary('Sub', a, b);
  }
  mul(a: Value, b: Value | number): Value {
    return this.binary('Mul', a, b);
  }
  div(a: Value, b: Value | number): Value {
    return this.binary('Div', a, b);
  }
  pow(a: Value, b: Value | number): Value {
    return this.binary('Pow', a, b);
  }
  max(a: Value, b: Value | number): Value {
    return this.binary('Max', a, b);
  }
  min(a: Value, b: Value | number): Value {
    return this.binary('Min', a, b);
  }
  equal(a: Value, b: Value | number): Value {
    return this.binary('Equal', a, b, 'bool');
  }
  less(a: Value, b: Value | number): Value {
    return this.binary('Less', a, b, 'bool');
  }
  greater(a: Value, b: Value | number): Value {
    return this.binary('Greater', a, b, 'bool');
  }
  greaterOrEqual(a: Value, b: Value | number): Value {
    return this.binary('GreaterOrEqual', a, b, 'bool');
  }
  lessOrEqual(a: Value, b: Value | number): Value {
    return this.binary('LessOrEqual', a, b, 'bool');
  }
  and(a: Value, b: Value): Value {
    return this.binary('And', a, b);
  }
  or(a: Value, b: Value): Value {
    return this.binary('Or', a, b);
  }
  /** Any operator of one input whose output has the input's shape and dtype. */
  unary(op: string, x: Value, attributes: Readonly<Record<string, AttributeValue>> = {}): Value {
    return this.one(op, [x], x.shape, attributes);
  }
  neg(x: Value): Value {
    return this.unary('Neg', x);
  }
  exp(x: Value): Value {
    return this.unary('Exp', x);
  }
  log(x: Value): Value {
    return this.unary('Log', x);
  }
  sqrt(x: Value): Value {
    return this.unary('Sqrt', x);
  }
  abs(x: Value): Value {
    return this.unary('Abs', x);
  }
  tanh(x: Value): Value {
    return this.unary('Tanh', x);
  }
  sigmoid(x: Value): Value {
    return this.unary('Sigmoid', x);
  }
  relu(x: Value): Value {
    return this.unary('Relu', x);
  }
  reciprocal(x: Value): Value {
    return this.unary('Reciprocal', x);
  }
  not(x: Value): Value {
    return this.unary('Not', x);
  }
  softmax(x: Value, axis: number): Value {
    return this.unary('Softmax', x, { axis });
  }

  where(condition: Value, a: Value | number, b: Value | number): Value {
    const typed = typeof a !== 'number' ? a : typeof b !== 'number' ? b : this.scalar(0);
    const [x, y] = [this.lift(a, typed), this.lift(b, typed)];
    const shape = broadcastShape(condition.shape, broadcastShape(x.shape, y.shape));
    return this.one('Where', [condition, x, y], shape, {}, typed.dtype);
  }

  cast(x: Value, dtype: DType, name?: string): Value {
    if (x.dtype === dtype) return x;
    return this.emit('Cast', [x], [{ dtype, shape: x.shape, name }], { to: dtypeCodes[dtype] })[0];
  }

  /** Matrix product with NumPy's broadcasting of leading axes; operands of two or more axes. */
  matMul(a: Value, b: Value): Value {
    const lead = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return this.one('MatMul', [a, b], [...lead, a.shape.at(-2)!, b.shape.at(-1)!]);
  }

  /** Product of two matrices, either transposed: [M,K] × [K,N], plus an optional C that broadcasts. */
  gemm(a: Value, b: Value, options: { transA?: boolean; transB?: boolean; alpha?: number; c?: Value } = {}): Value {
    const { transA = false, transB = false, alpha = 1, c } = options;
    const rows = transA ? a.shape[1] : a.shape[0];
    const columns = transB ? b.shape[0] : b.shape[1];
    return this.one('Gemm', c ? [a, b, c] : [a, b], [rows, columns], {
      ...(transA && { transA: 1 }),
      ...(transB && { transB: 1 }),
      ...(alpha !== 1 && { alpha: { float: alpha } }),
    });
  }

  transpose(x: Value, perm: readonly number[]): Value {
    if (perm.every((p, i) => p === i)) return x;
    return this.one(
      'Transpose',
      [x],
      perm.map((p) => x.shape[p]),
      { perm },
    );
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.one('Reshape', [x, this.ints(shape)], shape, shape.includes(0) ? { allowzero: 1 } : {});
  }

  unsqueeze(x: Value, axes: readonly number[]): Value {
    const rank = x.shape.length + axes.length;
    const at = new Set(axes.map((a) => (a < 0 ? a + rank : a)));
    const rest = [...x.shape];
    const shape = Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : rest.shift()!));
    return this.one('Unsqueeze', [x, this.ints(axes)], shape);
  }

  squeeze(x: Value, axes: readonly number[]): Value {
    const at = new Set(axes.map((a) => (a < 0 ? a + x.shape.length : a)));
    return this.one(
      'Squeeze',
      [x, this.ints(axes)],
      x.shape.filter((_, i) => !at.has(i)),
    );
  }

  expand(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.one('Expand', [x, this.ints(shape)], broadcastShape(x.shape, shape));
  }

  concat(values: readonly Value[], axis: number): Value {
    if (values.length === 1) return values[0];
    const shape = [...values[0].shape];
    const at = axis < 0 ? axis + shape.length : axis;
    shape[at] = values.reduce((sum, v) => sum + v.shape[at], 0);
    return this.one('Concat', values, shape, { axis: at });
  }

  /** `x[start:end:step]` along each named axis; `end` may exceed the size. Steps are positive. */
  slice(
    x: Value,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps: readonly number[] = axes.map(() => 1),
  ): Value {
    const shape = [...x.shape];
    axes.forEach((axis, i) => {
      const end = Math.min(ends[i], shape[axis]);
      shape[axis] = Math.max(0, Math.ceil((end - starts[i]) / steps[i]));
    });
    if (sameShape(shape, x.shape)) return x;
    const inputs = [x, this.ints(starts), this.ints(ends), this.ints(axes), this.ints(steps)];
    return this.one('Slice', inputs, shape);
  }

  /** Constant padding: `pads` holds the counts before every axis, then those after; negative counts crop. */
  pad(x: Value, pads: readonly number[], fill = 0): Value {
    if (pads.every((p) => p === 0)) return x;
    const rank = x.shape.length;
    const shape = x.shape.map((d, i) => d + pads[i] + pads[i + rank]);
    return this.one('Pad', fill === 0 ? [x, this.ints(pads)] : [x, this.ints(pads), this.scalar(fill, x.dtype)], shape);
  }

  private reduce(op: string, x: Value, axes: readonly number[], keepdims: boolean): Value {
    if (axes.length === 0) return x;
    const at = new Set(axes.map((a) => (a < 0 ? a + x.shape.length : a)));
    const shape = keepdims ? x.shape.map((d, i) => (at.has(i) ? 1 : d)) : x.shape.filter((_, i) => !at.has(i));
    const sorted = [...at].sort((a, b) => a - b);
    const k = { keepdims: keepdims ? 1 : 0 };
    return this.one(op, [x, this.ints(sorted)], shape, k);
  }

  /** Reductions over the named axes; an empty list reduces nothing. */
  reduceSum(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceSum', x, axes, keepdims);
  }
  reduceMean(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceMean', x, axes, keepdims);
  }
  reduceMax(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceMax', x, axes, keepdims);
  }
  reduceSumSquare(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceSumSquare', x, axes, keepdims);
  }
  reduceL1(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceL1', x, axes, keepdims);
  }
  reduceL2(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.reduce('ReduceL2', x, axes, keepdims);
  }

  /** Sums `x` over the axes along which `shape` was broadcast to it: the adjoint of broadcasting. */
  unbroadcast(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    const lead = x.shape.length - shape.length;
    const axes = x.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
    return this.reshape(this.reduceSum(x, axes, true), shape);
  }
}

/** @returns the shape of an elementwise operation (ONNX multidirectional broadcasting). */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new RangeError(`shapes [${a}] and [${b}] do not broadcast`);
    return x === 1 ? y : x;
  });
}

function blockShape([n, channels, ...sizes]: readonly number[]): number[] {
  return [n, wholeBlocks(channels), ...sizes];
}

function blockName(name: string | undefined): string | undefined {
  return name === undefined ? undefined : `${name}/blocked`;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}
