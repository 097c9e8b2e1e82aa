import { bodyKey } from '../onnx/bodies.js';
import { bodiesOf, graphsFrom, nodesFrom } from '../onnx/graph.js';
import { makeGraph } from '../onnx/make.js';
import type { GraphProto, ModelProto } from '../onnx/proto.js';
import { type Weight, weightsOf } from '../onnx/weights.js';
import type { Channels, PinReason } from './channels.js';

/** Weights that channel rules do not see, those inside functions and bodies that are not entered too, and why. */
export function unfollowedWeights(
  channels: Channels,
  { graph, functions }: ModelProto,
  closed: ReadonlyMap<string, string>,
): { readonly name: string; readonly shape: readonly number[]; readonly by: PinReason }[] {
  const inFunctions = functions.flatMap((f) => {
    const name = f.name ?? '';
    const by = { node: name, op: name, why: 'its function is called as it is' };
    return weightsOf(makeGraph({ node: f.node })).map((w) => ({ name: w.name, shape: w.dims, by }));
  });
  const followed = new Set([...channels.parameters.values()].map((p) => p.name));
  const unread = readerless(graph, closed);
  const found = weightsOf(graph).filter((w) => !followed.has(w.name));
  return [...found.map((w) => ({ name: w.name, shape: w.dims, by: unread(w) })), ...inFunctions];
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
