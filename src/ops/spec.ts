import type { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { NodeProto } from '../onnx/proto.js';
import type { DType, Tensor } from '../tensor/tensor.js';

/** A rule that is missing on purpose, with the reason that users are shown. */
export interface Refusal {
  readonly refused: string;
}

/** Spells that an operator has no rule, and why. */
export function refused(why: string): Refusal {
  return { refused: why };
}

export function isRefusal(rule: unknown): rule is Refusal {
  return typeof rule === 'object' && rule !== null && 'refused' in rule;
}

// ---------------------------------------------------------------------------------------------------------------
// Training: the graph is normalised to opset 18 and all shapes are static.

/** One node of the training graph, as its rules see it. Omitted optional inputs are `undefined`. */
export interface OpNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attrs: Attributes;
  /** What `lower` kept for the gradient. */
  readonly saved: Readonly<Record<string, Value>>;
}

/** What a special forward form may ask for and leave behind. */
export interface LowerContext {
  /** BatchNormalization with batch statistics (`live`) or with the stored ones. */
  readonly batchNorm: 'live' | 'frozen';
  /** Makes `next` the value of the initializer that `current` is, from the next step on (running statistics). */
  update(current: Value, next: Value): void;
  /** A uniform random tensor in [0, 1), fresh in every step, a function of (seed, step) alone; absent at inference. */
  random?(shape: readonly number[]): Value;
}

/** The outputs of a special forward form, and what its gradient needs. */
export interface Lowered {
  readonly outputs: readonly Value[];
  readonly saved?: Readonly<Record<string, Value>>;
}

/**
 * The gradient of one node: for each input a thunk that emits it, or `null` where there is none (integer inputs).
 * `dys` are the gradients of the outputs (`undefined` where none flows; at least one is there). The engine calls only
 * the thunks that are wanted, sums fan-out and un-broadcasts: a thunk's answer may have the broadcast shape.
 */
export type GradRule = (
  g: GraphBuilder,
  node: OpNode,
  dys: readonly (Value | undefined)[],
) => readonly ((() => Value) | null)[];

// ---------------------------------------------------------------------------------------------------------------
// Cutting: the user's own graph, in its own opset.

/** What is known of a value's contents beforehand. */
export interface Known {
  readonly tensor: Tensor;
  readonly stable: Uint8Array | 'all';
  /** What it is a transposed view of: axis `a` is axis `perm[a]` there. To read `tensor` would copy it. */
  readonly view?: { readonly of: Known; readonly perm: readonly number[] };
}

/** A value of the user's graph as channel rules see it; shapes were read from a run. */
export interface ChannelValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * The contents, where they follow from constants and shapes alone (initializers, Constant nodes, shape arithmetic).
   * `stable[i]` is 0 for an element that changes with a free dimension (a batch size read by Shape).
   */
  readonly known?: Known;
  /** A sequence of tensors of this shape. */
  readonly isSequence?: true;
}

/** One axis of one value. */
export interface AxisRef {
  readonly value: ChannelValue;
  readonly axis: number;
}

/**
 * Index `j` of axis `to` carries the same channel as index `map[j]` of axis `from` (-1: no channel, a constant zero).
 * Without `map` the indices are equal. Where several links lead to one axis (Concat), an index belongs to those whose map
 * is not -1. `from` is an output and `to` an input where one output channel stands for several of the input (Reshape that
 * splits an axis): then the output channel holds a constant where all of them hold the same one. Both are outputs where
 * `to` follows from `from` alone, whatever the inputs are.
 *
 * `constants`: what becomes of a channel that holds one constant: `same` - it still holds one constant (elementwise,
 * layout); `zero` - only zero stays (zero padding, sums over sizes that may vary); `never`; `any` - what stands there says
 * nothing of constants: they are told by the other links and mixes of the channel (gates of a recurrent unit); `rest` - a
 * zero becomes the zero point that another output tells at run time, which is no constant: only mixes with a `runtime` zero
 * of their input know what to make of it.
 */
export interface Link {
  readonly from: AxisRef;
  readonly to: AxisRef;
  readonly map?: Int32Array;
  readonly constants: 'same' | 'zero' | 'never' | 'any' | 'rest';
  /** The number that counts as zero in `from` (default 0). */
  readonly zero?: number;
}

/** What counts as zero in a quantised tensor: one number, or one for each index along `axis` of that tensor. */
export interface ZeroPoint {
  readonly value: ChannelValue;
  readonly axis?: number;
}

/**
 * Output channels as weighted sums of input channels: Conv, ConvTranspose, Gemm, MatMul with known weights; or as any
 * function of several such sums, which are gated against each other (recurrent operators).
 */
export interface Mix {
  /** An axis of an input, or of an output of the same node: then the channels of the step before are mixed. */
  readonly input: AxisRef;
  readonly output: AxisRef;
  readonly weight: ChannelValue;
  /** Axes of the weight that hold input and output channels. */
  readonly inAxis: number;
  readonly outAxis: number;
  /**
   * Number of groups (1: dense). Per block of rows, input channel `i` of group `j` is index `i` along `inAxis` and the
   * block `j` of `outAxis` for Conv (`blocked: 'in'`: inAxis holds in/group), and the reverse for ConvTranspose
   * (`blocked: 'out'`: outAxis holds out/group, inAxis is whole).
   */
  readonly groups: number;
  readonly blocked: 'in' | 'out';
  /** Factor on the weights (Gemm's alpha). */
  readonly scale: number;
  /** True where some output positions see fewer weights (zero padding): constants other than 0 don't stay constant. */
  readonly border: boolean;
  /** Bias or other parameter along the output axis, if any. */
  readonly bias?: { readonly value: ChannelValue; readonly axis: number };
  /**
   * The weight's `outAxis` holds `count` blocks of rows, each with one row for every output channel. Where the rows of block
   * `candidate` give zero, the output is zero whatever the others give; there are no other constants (absent: none).
   */
  readonly gates?: { readonly count: number; readonly candidate?: number };
  /** What counts as zero in the input: a number (default 0), or what another operand tells at run time. */
  readonly inputZero?: number | 'runtime';
  /** What counts as zero in the weight (default 0). */
  readonly weightZero?: ZeroPoint;
  /** Computed operands that leave a zero what it is: scales, zero points of the input, masks of an attention. */
  readonly aside?: readonly ChannelValue[];
  /** Its share of the node's multiply–accumulates, where the node has several mixes (absent: all). */
  readonly share?: number;
  /**
   * Adds `delta[o]` to output channel `o` of the cut graph, for good: into the bias, or by a new one. Absent where that is
   * not possible: input channels with other constants than zero stay then.
   */
  addBias?(cut: CutNode, delta: Float64Array): void;
}

/**
 * Axes of two computed operands over which their product is summed: index `j` of the one meets index `j` of the other and
 * nothing else. Both go together, where either is zero. An operand that is contracted with itself goes into something of
 * which only a zero leaves no trace (the range of all its elements).
 */
export interface Contraction {
  readonly a: AxisRef;
  readonly b: AxisRef;
  /** What counts as zero in either (default 0). */
  readonly zeros?: readonly [number, number];
}

/** Channels of an axis that cannot be removed, and why, in the model's words. */
export interface Pin {
  readonly at: AxisRef;
  readonly why: string;
}

/**
 * A list of indices that is a grid of others: an axis C·H·W that was merged from [C, H, W], or is split into them. What goes
 * must go along one direction of the grid, so that only one of the options can hold. The first one is taken whose `axis`
 * nothing else pins (the first of all where none is free), and the axes of the others are pinned.
 */
export interface Grid {
  readonly options: readonly { readonly axis: AxisRef; readonly link: Link }[];
  readonly why: string;
}

/** A removal must keep the same count in every one of `blocks` equal blocks of this axis (grouped convolution). */
export interface Quota {
  readonly at: AxisRef;
  readonly blocks: number;
}

/** What one node says about the channels of its inputs, outputs and parameters. An axis that is named nowhere is pinned. */
export interface ChannelRelation {
  readonly links?: readonly Link[];
  readonly grids?: readonly Grid[];
  readonly mixes?: readonly Mix[];
  readonly contractions?: readonly Contraction[];
  readonly pins?: readonly Pin[];
  readonly quotas?: readonly Quota[];
  /** Axes over which this node counts zeros: those that a Pad put behind the channels stay, for they were left there by a cut. */
  readonly counted?: readonly AxisRef[];
  /** Axes of which this node reads the number of channels only, never what they hold: `patch` makes that number good. */
  readonly free?: readonly AxisRef[];
  /**
   * Parameters that multiply a whole channel before a shift (the scale of a norm): where one is zero, the output channel
   * holds a constant and the other operands are not needed. `from` is the parameter; it has its ordinary link as well.
   */
  readonly gains?: readonly Pick<Link, 'from' | 'to'>[];
  /** What counts as zero in quantised operands that are no weights of mixes. */
  readonly zeroPoints?: readonly { readonly of: ChannelValue; readonly zero: ZeroPoint }[];
  /**
   * How operands combine along links into one output: `all` - constant where all are (default); `product` - zero where
   * any operand is zero, and an operand is not needed where another one is zero; `either` - the output is one of the
   * operands that are linked to it, and constant where all of these hold the same number.
   */
  readonly combine?: 'all' | 'product' | 'either';
  /** What the next iteration of a loop begins with: `to`, made before its body, is then what `from` was. */
  readonly backs?: readonly Pick<Link, 'from' | 'to'>[];
  /** Rewrites attributes and literals that name a channel count, once it is known what is kept. */
  patch?(cut: CutNode): void;
}

/** A node of the user's graph while it is cut. */
export interface CutNode {
  /** The node itself: may be changed. */
  readonly node: NodeProto;
  /** Of ONNX's own operators. */
  readonly opset: number;
  readonly inputs: readonly (ChannelValue | undefined)[];
  readonly outputs: readonly ChannelValue[];
  /** Kept indices of an axis, ascending, or undefined when all are kept. */
  kept(at: AxisRef): Int32Array | undefined;
  /** The contents of a parameter as they are now (after cuts and folds), or undefined for what is no parameter. */
  parameter(value: ChannelValue): Tensor | undefined;
  /** Replaces a parameter's contents (it is cloned first where other nodes read it). */
  setParameter(value: ChannelValue, tensor: Tensor): void;
  /** Makes input `index` a new constant (an earlier producer that nothing else reads is dropped later). */
  setInput(index: number, tensor: Tensor): void;
  /** Puts a node before input `index`: this node reads the new node's value, other readers the old one. */
  insertBefore(
    index: number,
    make: (from: string, to: string) => NodeProto,
    constants?: readonly { name: string; tensor: Tensor }[],
  ): void;
  /** Puts a node behind output `index`: readers and the graph output see the new node's value under the old name. */
  insertAfter(
    index: number,
    make: (from: string, to: string) => NodeProto,
    constants?: readonly { name: string; tensor: Tensor }[],
  ): void;
}

/** One node of the user's graph, as channel rules see it. */
export interface ChannelNode {
  readonly op: string;
  readonly name: string;
  readonly opset: number;
  readonly attrs: Attributes;
  readonly inputs: readonly (ChannelValue | undefined)[];
  readonly outputs: readonly ChannelValue[];
  /** How often it runs in one run of the model: absent is once, 0 for one in a branch that was not taken. */
  readonly runs?: number;
}

/** `pins` tells that the rule pins all that it touches, and why. */
export type ChannelRule = ((node: ChannelNode) => ChannelRelation) & { readonly pins?: string };

// ---------------------------------------------------------------------------------------------------------------

/** A node, with inputs to feed, that the contract suite runs: every gradient and channel rule is held to these. */
export interface Example {
  readonly title: string;
  readonly attributes?: Parameters<typeof import('../onnx/make.js').makeNode>[3];
  /** Input shapes (float32, drawn from a seed), given tensors, or null for an omitted input. */
  readonly inputs: readonly (readonly number[] | Tensor | null)[];
  /** Indices of inputs that are parameters (initializers); the others are graph inputs. */
  readonly parameters?: readonly number[];
  /** Range of the drawn values (default −1 … 1): keeps kinks and poles away. */
  readonly range?: readonly [number, number];
  readonly opset?: number;
  readonly outputs?: number;
}

/** An older or other form of a node, rewritten for the training graph. */
export interface NormaliseContext {
  /** The opset that the node was written in. */
  readonly opset: number;
  /** Known shape of a value in the training graph. */
  shape(name: string): readonly number[] | undefined;
  /** Contents of a value that follows from constants and shapes alone. */
  known(name: string): Tensor | undefined;
  /** Adds a constant and returns its name. */
  constant(tensor: Tensor): string;
  /** @returns a fresh value name. */
  fresh(hint: string): string;
  /** Names of the tensors that a sequence (or an optional value) holds, where a rule has told. */
  elements(sequence: string): readonly string[] | undefined;
  /** Tells which tensors a sequence holds: no node needs to make it. */
  holds(sequence: string, elements: readonly string[]): void;
}

/** All that is known of one operator. */
export interface OpSpec {
  readonly op: string;
  readonly domain?: string;
  /** The first opset that has the operator, where that is later than 7. */
  readonly since?: number;
  /** Input and output names as ONNX spells them; `?` marks optional, `...` variadic. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly grad: GradRule | Refusal;
  readonly channels: ChannelRule | Refusal;
  /** Multiply–accumulates of one run; absent means none worth counting. */
  readonly macs?: (node: ChannelNode) => number;
  /** Which inputs are weights to train where they are constants (default: none). */
  readonly trains?: readonly number[];
  /** Rewrites the node into opset-18 form; returns the nodes that replace it, or undefined to keep it as it is. */
  readonly normalise?: (node: NodeProto, context: NormaliseContext) => NodeProto[] | undefined;
  /** Why a training graph cannot hold such a node, where `normalise` leaves one. */
  readonly training?: Refusal;
  /** The forward form in the training graph where it is not the node itself. */
  readonly lower?: (g: GraphBuilder, node: OpNode, context: LowerContext) => Lowered | undefined;
  readonly examples: readonly Example[];
}

export function defineOp(spec: OpSpec): OpSpec {
  return spec;
}
