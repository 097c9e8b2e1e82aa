import { makeAttribute } from './attributes.js';
import { type BlockedForms, NCHWC } from './blocked.js';
import type { GraphProto, NodeProto } from './proto.js';

/*
 * Comes in: the nodes of an emitted graph, and the values that somebody outside reads. Goes out: the same graph without
 * what nothing reads, and with passes over memory joined that onnxruntime would join itself, were they not in its blocked
 * layout already: a convolution takes a shift as its bias, a sum as its fourth input, and a Relu as its activation.
 */

/** @returns nodes of a builder that compute the same `wanted` values. */
export function tidied(
  { nodes, blocked }: { readonly nodes: readonly NodeProto[]; readonly blocked: BlockedForms },
  wanted: Iterable<string>,
): NodeProto[] {
  const roots = [...wanted];
  return fused(needed(nodes, roots), roots, blocked);
}

function needed(nodes: readonly NodeProto[], wanted: readonly string[]): NodeProto[] {
  const read = new Set(wanted);
  const kept: NodeProto[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    if (!node.output.some((name) => name !== '' && read.has(name))) continue;
    for (const name of readBy(node)) read.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

/** @returns what a node reads, its bodies included. */
function readBy(node: NodeProto): string[] {
  const bodies = node.attribute.flatMap((a) => [...(a.g ? [a.g] : []), ...a.graphs]);
  return [...node.input.filter((name) => name !== ''), ...bodies.flatMap(readByBody)];
}

function readByBody(body: GraphProto): string[] {
  return [...body.node.flatMap(readBy), ...body.output.map((o) => o.name)];
}

function fused(nodes: readonly NodeProto[], wanted: readonly string[], blocked: BlockedForms): NodeProto[] {
  const readers = new Map<string, number>();
  const count = (name: string): void => void readers.set(name, (readers.get(name) ?? 0) + 1);
  wanted.forEach(count);
  for (const node of nodes) readBy(node).forEach(count);
  const out: (NodeProto | undefined)[] = [];
  const made = new Map<string, number>();
  /** The convolution that gives a value which nobody else reads, if it can take more upon itself. */
  const open = (name: string): { at: number; conv: NodeProto } | undefined => {
    const at = made.get(name);
    const conv = at === undefined ? undefined : out[at];
    if (at === undefined || !conv || !isBlockedConv(conv) || readers.get(name) !== 1) return undefined;
    return conv.attribute.some((a) => a.name === 'activation') ? undefined : { at, conv };
  };
  for (const node of nodes) {
    const joined = joinedWith(node, blocked, open);
    if (joined) out[joined.at] = undefined;
    const next = joined?.node ?? node;
    for (const name of next.output) made.set(name, out.length);
    out.push(next);
  }
  return out.filter((node) => node !== undefined);
}

type Open = (name: string) => { at: number; conv: NodeProto } | undefined;

/** @returns the node and the convolution before it as one, in the node's place. */
function joinedWith(node: NodeProto, blocked: BlockedForms, open: Open): { at: number; node: NodeProto } | undefined {
  const { input, output } = node;
  if (node.opType === 'Relu' && !node.domain) {
    const found = open(input[0]);
    if (!found) return undefined;
    const { at, conv } = found;
    const attribute = [...conv.attribute, makeAttribute('activation', 'Relu')];
    return { at, node: { ...conv, output, attribute } };
  }
  if (blocked.sums.has(node)) {
    for (const [i, name] of input.entries()) {
      const found = open(name);
      if (!found || found.conv.input.length > 3) continue;
      const { at, conv } = found;
      const [x, w, bias = ''] = conv.input;
      return { at, node: { ...conv, input: [x, w, bias, input[1 - i]], output } };
    }
  }
  if (blocked.shifts.has(node)) {
    const found = open(input[0]);
    if (!found || found.conv.input.length > 2) return undefined;
    const { at, conv } = found;
    return { at, node: { ...conv, input: [...conv.input, input[2]], output } };
  }
  return undefined;
}

function isBlockedConv(node: NodeProto): boolean {
  return node.domain === NCHWC && node.opType === 'Conv';
}
