import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { specOf } from '../ops/index.js';
import { isFloat } from '../tensor/half.js';
import { type DType, sizeOf } from '../tensor/tensor.js';
import type { NameMatcher } from './names.js';
import type { TrainedNote } from './training-graph.js';

/** What the choice of trained weights is made from. */
export interface TrainedSource {
  /** Nodes on the way to the outputs that depend on the model's inputs, in topological order. */
  readonly nodes: readonly NodeProto[];
  readonly producers: ReadonlyMap<string, NodeProto>;
  /** Values that follow from constants and shapes alone. */
  readonly fixed: ReadonlySet<string>;
  /** Initializers and Constant nodes: element type and shape. */
  readonly constants: ReadonlyMap<string, { readonly dtype: DType; readonly dims: readonly number[] }>;
  shape(name: string): readonly number[] | undefined;
  readonly freeze: NameMatcher;
  readonly train: NameMatcher;
}

/** One constant as one input of one node reads it, maybe through operators that only rearrange it. */
export interface WeightUse {
  readonly root: string;
  readonly node: NodeProto;
  readonly input: number;
  /** Nodes between the constant and the input, in order; with those between other constants and the input, where Concat joins them. */
  readonly path: readonly NodeProto[];
  readonly trained: boolean;
  /** Running mean or variance of a BatchNormalization. */
  readonly state: boolean;
  readonly why: string;
}

/** Operators that only rearrange: a weight behind them is still that weight. */
export const rearranging: ReadonlySet<string> = new Set([
  'Identity',
  'Transpose',
  'Reshape',
  'Cast',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Slice', // Packed projections are cut apart in the graph.
  'Gather', // Of a stack of weights, the one of an iteration.
  'Split',
]);

/**
 * @returns the constants that a value shows, several where Concat joins them (the gates of a recurrent layer), and all nodes
 * between; undefined where more than rearranging happens.
 */
export function rootsOf(
  value: string,
  source: Pick<TrainedSource, 'producers' | 'constants'>,
): { roots: string[]; path: NodeProto[] } | undefined {
  if (source.constants.has(value)) return { roots: [value], path: [] };
  const node = source.producers.get(value);
  const joins = node?.opType === 'Concat';
  if (!node || node.domain || !(joins || rearranging.has(node.opType))) return undefined;
  const parts = (joins ? node.input : [node.input[0]]).map((name) => rootsOf(name, source));
  if (!parts.every((part) => part !== undefined)) return undefined;
  return {
    roots: [...new Set(parts.flatMap((part) => part.roots))],
    path: [...new Set([...parts.flatMap((part) => part.path), node])],
  };
}

/**
 * Decides for each use of a float constant whether it is a weight: weights, biases and norm parameters by the
 * operator's own knowledge, and a constant Add, Sub or Mul that follows a weighted operator along its channel axis.
 * Scalars, masks and anchors are none. Patterns override both ways.
 */
export function weightUses(source: TrainedSource): WeightUse[] {
  const uses: WeightUse[] = [];
  const channelAxes = new Map<string, number>();
  for (const node of source.nodes) {
    const name = node.name || node.output.find((o) => o !== '') || '';
    const trains = specOf(node.opType, node.domain)?.trains ?? [];
    const follows = followed(node, source, channelAxes);
    let weighted = false;
    node.input.forEach((value, input) => {
      if (value === '' || !source.fixed.has(value)) return;
      const found = rootsOf(value, source);
      if (!found?.roots.every((root) => isFloat(source.constants.get(root)!.dtype))) return;
      const state = node.opType === 'BatchNormalization' && (input === 3 || input === 4);
      const known = trains.includes(input);
      const role = known ? `input ${input} of ${node.opType} '${name}'` : `${node.opType} '${name}' along channels`;
      for (const root of found.roots) {
        const scalar = sizeOf(source.constants.get(root)!.dims) === 1;
        const [trained, why] = state
          ? [false, `running statistics of '${name}'`]
          : source.freeze(root) || source.freeze(name)
            ? [false, 'frozen by pattern']
            : known || follows === input
              ? [true, role]
              : source.train(root)
                ? [true, 'trained by pattern']
                : [false, `${scalar ? 'a scalar of' : 'no weight for'} ${node.opType} '${name}'`];
        uses.push({ root, path: found.path, node, input, trained, state, why });
      }
      weighted ||= known;
    });
    noteChannelAxis(node, weighted, follows !== undefined, source, channelAxes);
  }
  return uses;
}

/** Operators through which the channel axis of a weighted operator stays what it is. */
const transparent = new Set([
  'Identity',
  'Dropout',
  'Cast',
  'Relu',
  'LeakyRelu',
  'Elu',
  'PRelu',
  'Clip',
  'BatchNormalization',
]);

/** Weighted operators whose channels lie along the last axis of the output. */
const alongLast = new Set([
  'MatMul',
  'Gemm',
  'Einsum',
  'LayerNormalization',
  'RMSNormalization',
  'LSTM',
  'GRU',
  'RNN',
  'FusedMatMul',
  'FusedGemm',
  'BiasGelu',
  'FastGelu',
  'SkipLayerNormalization',
  'SkipSimplifiedLayerNormalization',
  'SimplifiedLayerNormalization',
  'Attention',
  'MultiHeadAttention',
  'EmbedLayerNormalization',
]);

/** Remembers on which axis a node's output holds the channels of a weighted operator before it. */
function noteChannelAxis(
  node: NodeProto,
  weighted: boolean,
  follows: boolean,
  source: TrainedSource,
  axes: Map<string, number>,
): void {
  const output = node.output[0];
  const rank = source.shape(output)?.length ?? 0;
  const before = node.input.map((name) => axes.get(name)).find((axis) => axis !== undefined);
  if (weighted && alongLast.has(node.opType)) {
    axes.set(output, rank - 1);
  } else if (weighted && node.opType !== 'PRelu') {
    axes.set(output, 1);
  } else if (before !== undefined && (follows || transparent.has(node.opType) || scales(node, source))) {
    axes.set(output, before);
  } else if (before !== undefined && node.opType === 'Transpose') {
    const perm = new Attributes(node).ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
    axes.set(output, perm.indexOf(before));
  } else if (before !== undefined && sumsProducts(node, source)) {
    axes.set(output, before);
  } else if (isNormalised(node, source)) {
    axes.set(output, node.opType === 'Reshape' ? 1 : rank - 1);
  }
}

/** @returns whether a node ends a norm that an exporter wrote out: x / sqrt(…), or groups reshaped back to channels. */
function isNormalised(node: NodeProto, { producers }: TrainedSource): boolean {
  const from = (n: NodeProto | undefined, input: number) => producers.get(n?.input[input] ?? '');
  const inverseRoot = (n: NodeProto | undefined) =>
    (n?.opType === 'Reciprocal' && from(n, 0)?.opType === 'Sqrt') ||
    (n?.opType === 'Div' && from(n, 1)?.opType === 'Sqrt');
  switch (node.opType) {
    case 'Div':
      return from(node, 1)?.opType === 'Sqrt';
    case 'Mul':
      return inverseRoot(from(node, 0)) || inverseRoot(from(node, 1));
    case 'Reshape':
      return from(node, 0)?.opType === 'InstanceNormalization';
    default:
      return false;
  }
}

/** @returns whether a node adds up matrix products, as the cells of recurrent layers do before their bias. */
function sumsProducts(node: NodeProto, { producers }: TrainedSource): boolean {
  const isProduct = (name: string) => ['MatMul', 'Gemm'].includes(producers.get(name)?.opType ?? '');
  return node.opType === 'Add' && !node.domain && node.input.every(isProduct);
}

/** @returns whether a node shifts or scales everything by one number. */
function scales(node: NodeProto, source: TrainedSource): boolean {
  if (!['Add', 'Sub', 'Mul', 'Div'].includes(node.opType)) return false;
  return node.input.some((name) => source.fixed.has(name) && sizeOf(source.shape(name) ?? [0]) === 1);
}

/** @returns the input of an Add, Sub or Mul that is a constant along the channels that its other input carries. */
function followed(node: NodeProto, source: TrainedSource, axes: ReadonlyMap<string, number>): number | undefined {
  if (node.domain || !['Add', 'Sub', 'Mul'].includes(node.opType)) return undefined;
  for (const [at, other] of node.opType === 'Sub'
    ? [[1, 0]]
    : [
        [1, 0],
        [0, 1],
      ]) {
    const axis = axes.get(node.input[other]);
    if (axis === undefined || !source.fixed.has(node.input[at])) continue;
    const x = source.shape(node.input[other]);
    const c = source.shape(node.input[at]);
    if (!x || !c || c.length === 0 || c.length > x.length) continue;
    const aligned = [...new Array<number>(x.length - c.length).fill(1), ...c];
    const onlyChannels = aligned.every((d, a) => d === (a === axis ? x[axis] : 1));
    // One channel's bias looks like a scalar: it is one only directly behind its operator.
    const direct = source.producers.get(node.input[other])?.opType ?? '';
    if (onlyChannels && (x[axis] > 1 || direct === 'Conv' || direct === 'MatMul')) return at;
  }
  return undefined;
}

/** @returns one line per constant: trained when any of its uses is. */
export function trainedNotes(uses: readonly WeightUse[], names: Iterable<string>): TrainedNote[] {
  return [...names].map((name) => {
    const mine = uses.filter((use) => use.root === name);
    const told = mine.find((use) => use.trained) ?? mine.find((use) => use.state) ?? mine[0];
    return { name, trained: told?.trained ?? false, why: told?.why ?? 'does not reach the outputs as a weight' };
  });
}
