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
  const open: Open = (name, operator) => {
    const at = made.get(name);
    const before = at === undefined ? undefined : out[at];
    if (at === undefined || !before || !operator(before) || readers.get(name) !== 1) return undefined;
    return { at, before };
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

/** Finds the node that gives a value which nobody else reads, where it is of a kind. */
type Open = (name: string, kind: (node: NodeProto) => boolean) => { at: number; before: NodeProto } | undefined;

/** @returns the node and the one before it as one, in the node's place. */
function joinedWith(node: NodeProto, blocked: BlockedForms, open: Open): { at: number; node: NodeProto } | undefined {
  const { input, output } = node;
  if (node.opType === 'Relu' && !node.domain) {
    const found = open(input[0], isOpenConv);
    if (!found) return undefined;
    const attribute = [...found.before.attribute, makeAttribute('activation', 'Relu')];
    return { at: found.at, node: { ...found.before, output, attribute } };
  }
  if (blocked.sums.has(node)) {
    for (const [i, name] of input.entries()) {
      const other = input[1 - i];
      const conv = open(name, (n) => isOpenConv(n) && n.input.length <= 3);
      if (conv) {
        const [x, w, bias = ''] = conv.before.input;
        return { at: conv.at, node: { ...conv.before, input: [x, w, bias, other], output } };
      }
      const product = open(name, (n) => n.opType === 'Gemm' && !n.domain && n.input.length === 2);
      if (product)
        return { at: product.at, node: { ...product.before, input: [...product.before.input, other], output } };
    }
  }
  if (blocked.shifts.has(node)) {
    const found = open(input[0], (n) => isOpenConv(n) && n.input.length === 2);
    if (found) return { at: found.at, node: { ...found.before, input: [...found.before.input, input[2]], output } };
  }
  return undefined;
}

/** A convolution in blocks that can still take something upon itself. */
function isOpenConv(node: NodeProto): boolean {
  return (
    node.domain === NCHWC &&
    node.opType === 'Conv' &&
    !node.attribute.some((attribute) => attribute.name === 'activation')
  );
}
