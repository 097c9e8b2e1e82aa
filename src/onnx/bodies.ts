import { bodiesOf } from './graph.js';
import type { GraphProto, NodeProto, TensorProto } from './proto.js';

/** @returns what tells a body from all others of a model whose values have names of their own. */
export function bodyKey(node: NodeProto, attribute: string): string {
  return `${attribute} of ${node.output.join(' ')}`;
}

export function isConstant(node: NodeProto): boolean {
  return node.opType === 'Constant' && !node.domain;
}

/** @returns a node without the constants of its bodies, and these: iterations share them. */
export function lifted(node: NodeProto): { node: NodeProto; constants: NodeProto[]; initializer: TensorProto[] } {
  const constants: NodeProto[] = [];
  const initializer: TensorProto[] = [];
  const inside = (n: NodeProto): NodeProto => {
    if (bodiesOf(n).length === 0) return n;
    const attribute = n.attribute.map((a) => ({
      ...a,
      ...(a.g && { g: without(a.g) }),
      graphs: a.graphs.map(without),
    }));
    return { ...n, attribute };
  };
  const without = (body: GraphProto): GraphProto => {
    // A body cannot give back a value of the graphs around it.
    const outputs = new Set(body.output.map((o) => o.name));
    const isMoved = (n: NodeProto): boolean => isConstant(n) && !outputs.has(n.output[0]);
    initializer.push(...body.initializer.filter((t) => !outputs.has(t.name ?? '')));
    constants.push(...body.node.filter(isMoved));
    return {
      ...body,
      initializer: body.initializer.filter((t) => outputs.has(t.name ?? '')),
      node: body.node.filter((n) => !isMoved(n)).map(inside),
    };
  };
  return { node: inside(node), constants, initializer };
}
