import type { ModelProto, NodeProto } from '../onnx/proto.js';
import { FLOW, flowRelation } from '../ops/flow.js';
import { specOf } from '../ops/index.js';
import { sequenceRelation } from '../ops/sequenceChannels.js';
import {
  type AxisRef,
  type ChannelNode,
  type ChannelRelation,
  type ChannelValue,
  isRefusal,
  type Link,
  type Mix,
} from '../ops/spec.js';
import { front } from '../ops/knownInts.js';
import { isFloat } from '../tensor/half.js';
import { sizeOf } from '../tensor/tensor.js';
import { Atoms } from './atoms.js';
import { type OpenGrid, settleGrids } from './grids.js';
import { spelledNorms } from './spelledNorms.js';
import { capturedBy, constantsOf, isConstant, type Parameter, parametersOf, untie } from './parameters.js';

/** The user's graph as channel rules see it. */
export interface ChannelSource {
  readonly model: ModelProto;
  readonly folder?: string;
  /** The nodes of the top-level graph in topological order. */
  readonly nodes: readonly GraphNode[];
  /** Puts a model that was made of this one into the form that users have, where this one is flattened. */
  restored?(model: ModelProto): ModelProto;
  /** Why the bodies of a node are not entered. */
  closed?(node: NodeProto): string | undefined;
}

/** A node with its place in the user's graph. */
export interface GraphNode extends ChannelNode {
  readonly proto: NodeProto;
  /** Index in the graph's list of nodes. */
  readonly index: number;
}

export interface ChannelOptions {
  /** Tells which weights, values and nodes (by name) must keep all their channels. */
  readonly keep?: (name: string) => boolean;
  /** The name that one use of a shared one-dimensional initializer gets of its own. */
  readonly nameOf?: (node: number, input: number) => string | undefined;
  /** Where an axis is a grid that can be cut in several directions, whole blocks (heads) go, not the same part of each. */
  readonly blocks?: boolean;
  /** Channels that enter the statistics of a norm stay: without them its sums round otherwise. */
  readonly keepNormed?: boolean;
}

/** One value and where its atoms lie: index `i` of axis `a` is slot `base[a] + i`. */
export interface Slots {
  readonly value: ChannelValue;
  readonly base: readonly number[];
  /** Computed from the inputs of the model: what it holds is not known beforehand. */
  readonly runtime: boolean;
}

/** A node with what its operator says about channels. */
export interface RelatedNode {
  /** Index in the graph's list of nodes. */
  readonly index: number;
  readonly proto: NodeProto;
  readonly channel: ChannelNode;
  readonly relation: ChannelRelation;
}

/** Why channels cannot be removed. */
export interface PinReason {
  /** Name of the node, or of its first output. */
  readonly node: string;
  readonly op: string;
  readonly why: string;
}

/** An axis of which the same count must stay in each of `blocks` equal blocks. */
export interface BlockQuota {
  readonly base: number;
  readonly size: number;
  readonly blocks: number;
}

/** All atoms of a graph, united into units. */
export interface Channels {
  readonly source: ChannelSource;
  /** In topological order. */
  readonly nodes: readonly RelatedNode[];
  readonly values: ReadonlyMap<string, Slots>;
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Number of slots. */
  readonly slots: number;
  /** The unit of every slot, or -1 where it is pinned or not cut. */
  readonly unit: Int32Array;
  readonly units: number;
  readonly quotas: readonly BlockQuota[];
  /** Where the weights of grouped mixes are held. */
  readonly stored: ReadonlyMap<Mix, Stored>;
  /** Whether some grid could be cut in another direction as well: see `ChannelOptions.blocks`. */
  readonly choices: boolean;
  /** What pins a slot; undefined for a slot of a unit. */
  pinOf(slot: number): PinReason | undefined;
  slotOf(at: AxisRef): number;
  /** Names that bodies of a node read from the graph around them. */
  captured(node: number): readonly string[];
}

/**
 * Unites the atoms of all axes by what operators say of them. It fails closed: axes that no rule names, inputs and
 * outputs of the model, values that bodies of other graphs capture and operators without rules pin their atoms.
 */
export function relateChannels(source: ChannelSource, options: ChannelOptions = {}): Channels {
  const { graph } = source.model;
  const nodes = untie(source, options.nameOf);
  const constants = constantsOf(source);
  const parameters = parametersOf(constants, nodes);
  const values = layOut(nodes);
  const slots = [...values.values()].reduce((n, v) => n + v.value.shape.reduce((a, d) => a + d, 0), 0);
  const atoms = new Atoms(slots);
  const at = ({ value, axis }: AxisRef): number => values.get(value.name)!.base[axis];
  const reasons: PinReason[] = [];
  const pin = (ref: AxisRef, reason: PinReason): void => {
    if (reasons.at(-1) !== reason) reasons.push(reason);
    atoms.pin(at(ref), ref.value.shape[ref.axis], reasons.length - 1);
  };
  const pinValue = (name: string, reason: PinReason): void => {
    const value = values.get(name)?.value;
    value?.shape.forEach((_, axis) => {
      pin({ value, axis }, reason);
    });
  };

  const outside = new Set(parameters.keys());
  const computed = new Set(nodes.flatMap((n) => n.outputs.map((o) => o.name)));
  for (const name of values.keys()) {
    if (outside.has(name) || computed.has(name)) continue;
    pinValue(name, { node: name, op: '', why: 'it is an input of the model' });
  }
  for (const { name } of graph.output) pinValue(name, { node: name, op: '', why: 'it is an output of the model' });

  const unite = ({ from, to, map }: Link): void => {
    const [a, b, size] = [at(from), at(to), to.value.shape[to.axis]];
    for (let j = 0; j < size; j++) {
      const i = map ? map[j] : j;
      if (i >= 0) atoms.unite(a + i, b + j);
    }
  };
  const outputs = new Set(graph.output.map((o) => o.name));
  for (const { proto } of nodes) for (const name of capturedBy(proto)) outputs.add(name);
  const norms = spelledNorms(nodes, outputs);
  const related: RelatedNode[] = [];
  const grids: OpenGrid[] = [];
  const quotas: BlockQuota[] = [];
  const seams: { at: AxisRef; reason: PinReason }[] = [];
  const stored = new Map<Mix, Stored>();
  for (const channel of nodes) {
    const { proto, index } = channel;
    const place = { node: proto.name || (proto.output.find((o) => o !== '') ?? ''), op: proto.opType };
    const closed = source.closed?.(proto);
    const inBody = closed === undefined ? 'a body of this node reads it' : `a body of this node reads it: ${closed}`;
    for (const name of capturedBy(proto)) pinValue(name, { ...place, why: inBody });
    const usual = ruleOf(proto, channel, closed);
    const found = typeof usual === 'string' ? usual : (norms.get(index)?.(usual) ?? usual);
    const relation: ChannelRelation = typeof found === 'string' ? {} : found;
    const position = related.push({ index, proto, channel, relation }) - 1;
    const missing = { ...place, why: typeof found === 'string' ? found : 'no rule of the operator names this axis' };
    const bare = unnamed(channel, relation);
    for (const ref of bare) pin(ref, missing);
    if (readsUnknown(channel, bare)) for (const { name } of channel.outputs) pinValue(name, missing);
    if (isConstant(proto) && !constants.has(proto.output[0])) {
      pinValue(proto.output[0], { ...place, why: 'it is stored as a sparse tensor' });
    }
    for (const { at: ref, why } of relation.pins ?? []) pin(ref, { ...place, why });
    for (const link of relation.links ?? []) unite(link);
    for (const { a, b } of relation.contractions ?? []) {
      unite({ from: a, to: b, constants: 'never' });
      const norms = a.value === b.value && a.axis === b.axis && isFloat(channel.outputs[0].dtype);
      if (norms && options.keepNormed) pin(a, { ...place, why: 'its statistics would round to other levels' });
    }
    for (const { from, to } of relation.backs ?? []) unite({ from, to, constants: 'never' });
    for (const grid of relation.grids ?? []) {
      grids.push({
        grid,
        settle: (link, others) => {
          unite(link);
          for (const ref of others) pin(ref, { ...place, why: grid.why });
          const { relation: former } = related[position];
          related[position] = { ...related[position], relation: { ...former, links: [...(former.links ?? []), link] } };
        },
      });
    }
    for (const { at: ref, blocks } of relation.quotas ?? []) {
      quotas.push({ base: at(ref), size: ref.value.shape[ref.axis], blocks });
    }
    for (const mix of relation.mixes ?? []) {
      const blocked = relateMix(mix, atoms, at, quotas);
      if (!blocked) continue;
      // The blocks of such an axis are gathered one by one, which needs the weight itself.
      const own = storedWeight(parameters, nodes, index, blocked);
      if (own) {
        stored.set(mix, own);
        for (const value of [blocked.value, own.value]) {
          atoms.exempt(at({ value, axis: blocked.axis }), value.shape[blocked.axis]);
        }
      } else seams.push({ at: mix.input, reason: { ...place, why: 'its grouped weight is computed by other nodes' } });
    }
    if (options.keep?.(proto.name ?? '')) {
      for (const { name } of channel.outputs) pinValue(name, { ...place, why: 'asked to be kept' });
    }
  }
  for (const { at: ref, reason } of seams) pin(ref, reason);
  pinFilling(related, atoms, at, (reason) => reasons.push(reason) - 1);
  if (options.keep) {
    for (const name of values.keys()) {
      const given = parameters.get(name)?.name ?? name;
      if (options.keep(given)) pinValue(name, { node: given, op: '', why: 'asked to be kept' });
    }
  }
  const single: PinReason = { node: '', op: '', why: 'it is the only one of its axis' };
  for (const { value } of values.values()) {
    value.shape.forEach((size, axis) => {
      if (size === 1) pin({ value, axis }, single);
    });
  }

  const isWeight = new Uint8Array(slots);
  for (const { value, base, runtime } of values.values()) {
    if (runtime || !isFloat(value.dtype)) continue;
    value.shape.forEach((size, axis) => isWeight.fill(1, base[axis], base[axis] + size));
  }
  const choices = settleGrids(grids, atoms, at, isWeight, options.blocks ?? false);

  const { unit, units, pinned } = atoms.classes();
  return {
    source,
    nodes: related,
    values,
    parameters,
    slots,
    unit,
    units,
    quotas,
    stored,
    choices: choices > 0,
    pinOf: (slot) => (pinned[slot] < 0 ? undefined : reasons[pinned[slot]]),
    slotOf: at,
    captured: (node) => capturedBy(graph.node[node]),
  };
}

/** Pins the zeros that a Pad put behind channels for a norm to count: see `ChannelRelation.counted`. */
function pinFilling(
  nodes: readonly RelatedNode[],
  atoms: Atoms,
  at: (ref: AxisRef) => number,
  add: (reason: PinReason) => number,
): void {
  const pads = new Map(nodes.filter((n) => n.channel.op === 'Pad').map((n) => [n.channel.outputs[0].name, n]));
  for (const { proto, relation } of nodes) {
    for (const ref of relation.counted ?? []) {
      const links = pads.get(ref.value.name)?.relation.links ?? [];
      const map = links.find((l) => l.to.value.name === ref.value.name && l.to.axis === ref.axis)?.map;
      const filling = map ? map.length - 1 - map.findLastIndex((i) => i >= 0) : 0;
      if (filling === 0) continue;
      const reason = {
        node: proto.name || proto.output[0],
        op: proto.opType,
        why: 'it stands for channels that are gone',
      };
      atoms.pin(at(ref) + ref.value.shape[ref.axis] - filling, filling, add(reason));
    }
  }
}

function layOut(nodes: readonly GraphNode[]): Map<string, Slots> {
  const values = new Map<string, Slots>();
  let next = 0;
  for (const node of nodes) {
    for (const value of [...node.inputs, ...node.outputs]) {
      if (!value || values.has(value.name)) continue;
      const base = value.shape.map((size) => {
        next += size;
        return next - size;
      });
      values.set(value.name, { value, base, runtime: value.known === undefined });
    }
  }
  return values;
}

/** @returns what the operator says about a node's channels, or why nothing is known. */
function ruleOf(proto: NodeProto, node: ChannelNode, closed: string | undefined): ChannelRelation | string {
  if (proto.domain === FLOW) return flowRelation(node, proto);
  const held = sequenceRelation(node, proto);
  if (held) return held;
  const spec = specOf(proto.opType, proto.domain, node.opset);
  if (!spec && closed !== undefined) return `its bodies are not followed: ${closed}`;
  if (!spec && proto.domain === 'com.microsoft.nchwc')
    return 'its channels lie in blocks of the processor that onnxruntime optimised the model for: take the model before that';
  if (!spec) return 'the operator has no channel rule';
  return isRefusal(spec.channels) ? spec.channels.refused : spec.channels(node);
}

/** @returns axes of a node's inputs and outputs that its relation does not name. */
function unnamed(node: ChannelNode, relation: ChannelRelation): AxisRef[] {
  const named = new Set<string>();
  const name = (at: AxisRef): void => void named.add(`${at.axis} ${at.value.name}`);
  for (const { from, to } of [...(relation.links ?? []), ...(relation.gains ?? []), ...(relation.backs ?? [])]) {
    name(from);
    name(to);
  }
  for (const m of relation.mixes ?? []) {
    name(m.input);
    name(m.output);
    name({ value: m.weight, axis: m.inAxis });
    name({ value: m.weight, axis: m.outAxis });
    if (m.bias) name(m.bias);
  }
  for (const { options } of relation.grids ?? []) {
    for (const { link } of options) {
      name(link.from);
      name(link.to);
    }
  }
  for (const { a, b } of relation.contractions ?? []) {
    name(a);
    name(b);
  }
  for (const { at } of relation.pins ?? []) name(at);
  for (const at of relation.free ?? []) name(at);
  return [...node.inputs, ...node.outputs].flatMap((value) =>
    value ? value.shape.flatMap((_, axis) => (named.has(`${axis} ${value.name}`) ? [] : [{ value, axis }])) : [],
  );
}

/** Whether a computed operand of floats is named by no rule at all: the outputs may have to fit it. */
function readsUnknown({ inputs }: ChannelNode, bare: readonly AxisRef[]): boolean {
  return inputs.some((x) => {
    if (!x || x.known || !isFloat(x.dtype) || x.shape.every((d) => d === 1)) return false;
    return bare.filter((ref) => ref.value === x).length === x.shape.length;
  });
}

/** Where a weight is held: the parameter, and the node that reads it. */
export interface Stored {
  readonly node: number;
  readonly value: ChannelValue;
}

/** @returns the parameter that holds a mix's weight as it is, or quantised with the same scale along the axis. */
function storedWeight(
  parameters: ReadonlyMap<string, Parameter>,
  nodes: readonly GraphNode[],
  reader: number,
  { value: weight, axis }: AxisRef,
): Stored | undefined {
  if (parameters.has(weight.name)) return { node: reader, value: weight };
  const maker = nodes.find((n) => n.outputs.some((o) => o.name === weight.name));
  if (maker?.op !== 'DequantizeLinear') return undefined;
  const [value, scale] = maker.inputs;
  const readers = nodes.filter((n) => n.inputs.some((x) => x?.name === weight.name));
  const along = sizeOf(scale!.shape) > 1 && front(maker.attrs.int('axis', 1), weight.shape.length) === axis;
  return value && parameters.has(value.name) && readers.length === 1 && !along
    ? { node: maker.index, value }
    : undefined;
}

/** The two sides of a mix per group, as numbers of channels. */
export function groupSizes(mix: Mix): { ins: number; outs: number } {
  const { input, output, groups } = mix;
  return { ins: input.value.shape[input.axis] / groups, outs: output.value.shape[output.axis] / groups };
}

/** Unites what a mix relates. @returns the axis of the weight whose indices mean other channels in every group. */
function relateMix(mix: Mix, atoms: Atoms, at: (ref: AxisRef) => number, quotas: BlockQuota[]): AxisRef | undefined {
  const { input, output, weight, inAxis, outAxis, groups, blocked, gates, bias } = mix;
  const { ins, outs } = groupSizes(mix);
  const [x, y] = [at(input), at(output)];
  const [wIn, wOut] = [
    { value: weight, axis: inAxis },
    { value: weight, axis: outAxis },
  ];
  const unite = (a: number, b: number, size: number): void => {
    for (let i = 0; i < size; i++) atoms.unite(a + i, b + i);
  };
  if (bias && bias.value.shape[bias.axis] === outs * groups) unite(at(bias), y, outs * groups);
  if (groups === 1 || blocked === 'out') unite(at(wIn), x, ins * groups);
  if (groups === 1 || blocked === 'in') {
    for (let gate = 0; gate < (gates?.count ?? 1); gate++) unite(at(wOut) + gate * outs * groups, y, outs * groups);
  }
  if (groups === 1) return undefined;
  if (ins === 1) {
    // Depthwise: an input channel goes with all that is made of it.
    for (let o = 0; o < outs * groups; o++) atoms.unite(x + Math.floor(o / outs), y + o);
    return undefined;
  }
  quotas.push({ base: x, size: ins * groups, blocks: groups }, { base: y, size: outs * groups, blocks: groups });
  return blocked === 'in' ? wIn : wOut;
}
