import { bodyKey } from '../onnx/bodies.js';
import { bodiesOf, graphsFrom, nodesFrom } from '../onnx/graph.js';
import { makeGraph } from '../onnx/make.js';
import type { GraphProto, ModelProto } from '../onnx/proto.js';
import { type Weight, weightsOf } from '../onnx/weights.js';
import type { Channels, PinReason } from './channels.js';

/** Channels along one axis of a weight that stay, all for the same reason. */
export interface PinnedAxis {
  readonly axis: number;
  readonly count: number;
  readonly by: PinReason;
}

/** What can be removed of one weight of a model, wherever it lies. */
export interface WeightChannels {
  readonly name: string;
  readonly shape: readonly number[];
  /** Per axis, how many of its indices can be removed. */
  readonly removable: readonly number[];
  readonly pinned: readonly PinnedAxis[];
}

/**
 * Tells for every weight of a model, those inside bodies and functions too, what can be removed of it, and what pins the
 * rest.
 * @param model the user's own
 * @param closed why bodies are not entered, by {@link bodyKey}
 */
export function weightChannels(
  channels: Channels,
  { graph, functions }: ModelProto,
  closed: ReadonlyMap<string, string>,
): WeightChannels[] {
  const inFunctions = functions.flatMap((f) => {
    const name = f.name ?? '';
    const why = 'its function is called as it is';
    return weightsOf(makeGraph({ node: f.node })).map((w) => stays(w, { node: name, op: name, why }));
  });
  const uses = new Map<string, string[]>();
  for (const [use, { name }] of channels.parameters) uses.set(name, [...(uses.get(name) ?? []), use]);
  const unread = readerless(graph, closed);
  const found = weightsOf(graph).flatMap((weight) => {
    const own = uses.get(weight.name) ?? [];
    if (own.length > 0) return own.map((use) => usedAs(channels, use, weight));
    return [stays(weight, unread(weight))];
  });
  return [...found, ...inFunctions];
}

function usedAs(channels: Channels, use: string, { name }: Weight): WeightChannels {
  const { value } = channels.parameters.get(use)!;
  const pinned: PinnedAxis[] = [];
  const removable = value.shape.map((size, axis) => {
    const base = channels.slotOf({ value, axis });
    const counts = new Map<PinReason, number>();
    for (let slot = base; slot < base + size; slot++) {
      const by = channels.pinOf(slot);
      if (by) counts.set(by, (counts.get(by) ?? 0) + 1);
    }
    for (const [by, count] of counts) pinned.push({ axis, count, by });
    return size - [...counts.values()].reduce((sum, n) => sum + n, 0);
  });
  return { name: use === name ? name : `${name}, as ${use}`, shape: value.shape, removable, pinned };
}

function stays({ name, dims }: Weight, by: PinReason): WeightChannels {
  return { name, shape: dims, removable: dims.map(() => 0), pinned: dims.map((count, axis) => ({ axis, count, by })) };
}

/** @returns what to say of a weight that no node reads which channel rules see. */
function readerless(graph: GraphProto, closed: ReadonlyMap<string, string>): (weight: Weight) => PinReason {
  const homes = new Map<GraphProto, PinReason>();
  for (const { graph: home, owner } of graphsFrom(graph)) {
    if (!owner) continue;
    const place = { node: owner.name || (owner.output[0] ?? ''), op: owner.opType };
    const body = bodiesOf(owner).find((b) => b.graph === home)!;
    const why = closed.get(bodyKey(owner, body.attribute));
    homes.set(home, { ...place, why: `its ${body.attribute} is not followed: ${why ?? 'nothing is known of it'}` });
  }
  const readers = new Map<string, PinReason>();
  for (const node of nodesFrom(graph)) {
    for (const name of node.input)
      readers.set(name, { node: node.name || (node.output[0] ?? ''), op: node.opType, why: 'it is not followed' });
  }
  return (weight) => {
    if (weight.source.kind === 'sparse') return { node: weight.name, op: '', why: 'it is stored as a sparse tensor' };
    const home = homes.get(weight.graph) ?? readers.get(weight.name);
    return home ?? { node: weight.name, op: '', why: 'nothing reads it' };
  };
}
