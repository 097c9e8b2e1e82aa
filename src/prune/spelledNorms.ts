import { intsOf } from '../ops/knownInts.js';
import type { ChannelRelation, ChannelValue, CutNode, Link } from '../ops/spec.js';
import { appendZeros, takeFirst } from '../ops/statistics.js';
import { isFloat } from '../tensor/half.js';
import type { GraphNode } from './channels.js';

/*
 * LayerNormalization as exporters write it out where the opset has none: d = x − mean(x), y = d / √(mean(d²) + ε). What is zero in
 * x is none in d, so that no rule of one operator can let it go. As a whole it can: with as many zeros behind x as have gone,
 * which are taken off y again.
 */

/** Nodes of one norm, each with what it reads of the one before. */
interface SpelledNorm {
  readonly x: ChannelValue;
  readonly mean: GraphNode;
  readonly centred: GraphNode;
  readonly result: GraphNode;
}

/** @returns relations of nodes, by their index, that stand in the place of those of their operators. */
export function spelledNorms(
  nodes: readonly GraphNode[],
  outside: ReadonlySet<string>,
): ReadonlyMap<number, (usual: ChannelRelation) => ChannelRelation> {
  const graph = new Links(nodes, outside);
  const found = new Map<number, (usual: ChannelRelation) => ChannelRelation>();
  for (const centred of nodes) {
    if (centred.op !== 'Sub' || centred.proto.domain) continue;
    const [x, m] = centred.inputs;
    const mean = m && graph.maker(m);
    if (!x || !mean || !isMeanOf(mean, x)) continue;
    const result = graph.resultOf(centred);
    if (result) for (const [index, rule] of rulesOf({ x, mean, centred, result })) found.set(index, rule);
    else found.set(mean.index, (usual) => pinnedMean(usual, x));
  }
  return found;
}

class Links {
  private readonly makers = new Map<string, GraphNode>();
  private readonly readers = new Map<string, GraphNode[]>();

  constructor(
    nodes: readonly GraphNode[],
    private readonly outside: ReadonlySet<string>,
  ) {
    for (const node of nodes) {
      for (const { name } of node.outputs) this.makers.set(name, node);
      for (const name of new Set(node.inputs.flatMap((x) => x?.name ?? []))) {
        this.readers.set(name, [...(this.readers.get(name) ?? []), node]);
      }
    }
  }

  maker({ name }: ChannelValue): GraphNode | undefined {
    return this.makers.get(name);
  }

  /** @returns the node that divides what is centred by its deviation, where nothing else reads anything in between. */
  resultOf(centred: GraphNode): GraphNode | undefined {
    const [d] = centred.outputs;
    const [a, b, ...others] = this.readersOf(d);
    if (!b || others.length > 0) return undefined;
    return this.checked(d, a, b) ?? this.checked(d, b, a);
  }

  private checked(d: ChannelValue, square: GraphNode, result: GraphNode): GraphNode | undefined {
    const reads = (node: GraphNode, value: ChannelValue | undefined, input?: number) =>
      value !== undefined && node.inputs.some((x, i) => x?.name === value.name && (input ?? i) === i);
    const twice = square.op === 'Mul' && square.inputs.every((x) => x?.name === d.name);
    if (!twice && !(square.op === 'Pow' && reads(square, d, 0))) return undefined;
    const variance = this.only(square);
    if (!variance || !isMeanOf(variance, square.outputs[0])) return undefined;
    const root = this.next(this.next(variance, 'Add'), 'Sqrt');
    if (result.op === 'Div') return reads(result, d, 0) && reads(result, root?.outputs[0], 1) ? result : undefined;
    const inverse = this.next(root, 'Reciprocal') ?? this.next(root, 'Div');
    return result.op === 'Mul' && reads(result, d) && reads(result, inverse?.outputs[0]) ? result : undefined;
  }

  private next(node: GraphNode | undefined, op: string): GraphNode | undefined {
    const reader = node && this.only(node);
    return reader?.op === op ? reader : undefined;
  }

  private only(node: GraphNode): GraphNode | undefined {
    const readers = this.readersOf(node.outputs[0]);
    return readers.length === 1 ? readers[0] : undefined;
  }

  private readersOf({ name }: ChannelValue): GraphNode[] {
    return this.outside.has(name) ? [] : (this.readers.get(name) ?? []);
  }
}

/** Whether a node takes the mean over the last axis of a value, which stays as 1. */
function isMeanOf(node: GraphNode, x: ChannelValue): boolean {
  if (node.op !== 'ReduceMean' || node.inputs[0]?.name !== x.name || !isFloat(x.dtype)) return false;
  const axes = intsOf(node, 1, 'axes') ?? [];
  const rank = x.shape.length;
  return axes.length === 1 && [-1, rank - 1].includes(axes[0]) && node.outputs[0].shape.length === rank;
}

function rulesOf({ x, mean, centred, result }: SpelledNorm): [number, (usual: ChannelRelation) => ChannelRelation][] {
  const [d] = centred.outputs;
  const [y] = result.outputs;
  const axis = x.shape.length - 1;
  const at = { value: x, axis };
  const counted = { contractions: [{ a: at, b: at }], counted: [at] };
  const why = 'it holds all channels of a norm, those that are gone too';
  const apart = ({ from, to }: Link) => from.axis !== axis && to.axis !== axis;
  const missing = (cut: CutNode) => x.shape[axis] - (cut.kept(at)?.length ?? x.shape[axis]);
  let filled: string | undefined;
  return [
    [
      mean.index,
      (usual) => ({
        ...usual,
        ...counted,
        patch(cut) {
          if (missing(cut) > 0) appendZeros(cut, 0, missing(cut));
          filled = cut.node.input[0];
        },
      }),
    ],
    [
      centred.index,
      (usual) => ({
        ...usual,
        ...counted,
        links: (usual.links ?? []).filter(apart),
        pins: [{ at: { value: d, axis }, why }],
        patch(cut) {
          if (filled !== undefined) cut.node.input[0] = filled;
        },
      }),
    ],
    [
      result.index,
      (usual) => ({
        ...usual,
        links: [...(usual.links ?? []).filter(apart), { from: at, to: { value: y, axis }, constants: 'never' }],
        gains: [],
        pins: [{ at: { value: d, axis }, why }],
        patch(cut) {
          if (missing(cut) > 0) takeFirst(cut, y, x.shape[axis] - missing(cut));
        },
      }),
    ],
  ];
}

function pinnedMean(usual: ChannelRelation, value: ChannelValue): ChannelRelation {
  const why = 'the mean of all channels is taken off each of them';
  return { links: usual.links, pins: [{ at: { value, axis: value.shape.length - 1 }, why }] };
}
