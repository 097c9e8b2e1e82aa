import { definedIn } from './graph.js';
import type { AttributeProto, GraphProto, NodeProto, ValueInfoProto } from './proto.js';

/** Gives a name that nothing else has. */
export type Fresh = (hint: string) => string;

/** @returns a source of names that are none of these, nor ones that it gave before. */
export function freshNames(taken: Set<string>): Fresh {
  return (hint) => {
    let name = hint;
    for (let k = 1; taken.has(name); k++) name = `${hint}_${k}`;
    taken.add(name);
    return name;
  };
}

/** How values are called in a copy: absent ones keep their names. */
export type Names = ReadonlyMap<string, string>;

/**
 * @returns a copy of a node under other names: of what it reads and makes by `names`, of what its bodies define by `own`.
 * Tensors are shared with the node.
 */
export function renamedNode(node: NodeProto, names: Names, own: Fresh): NodeProto {
  const of = (name: string): string => (name === '' ? '' : (names.get(name) ?? name));
  const attribute = node.attribute.map((a) => renamedAttribute(a, names, own));
  return { ...node, input: node.input.map(of), output: node.output.map(of), attribute };
}

function renamedAttribute(a: AttributeProto, names: Names, own: Fresh): AttributeProto {
  if (!a.g && a.graphs.length === 0) return a;
  return {
    ...a,
    ...(a.g && { g: renamedBody(a.g, names, own) }),
    graphs: a.graphs.map((body) => renamedBody(body, names, own)),
  };
}

/** @returns a copy of a body whose own values are called by `own`, and what it captures by `outer`. */
export function renamedBody(body: GraphProto, outer: Names, own: Fresh): GraphProto {
  const names = new Map(outer);
  for (const name of definedIn(body)) names.set(name, own(name));
  const of = (name = ''): string => names.get(name) ?? name;
  const info = (v: ValueInfoProto): ValueInfoProto => ({ ...v, name: of(v.name) });
  return {
    ...body,
    node: body.node.map((n) => renamedNode(n, names, own)),
    initializer: body.initializer.map((t) => ({ ...t, name: of(t.name) })),
    sparseInitializer: body.sparseInitializer.map((s) =>
      s.values ? { ...s, values: { ...s.values, name: of(s.values.name) } } : s,
    ),
    input: body.input.map(info),
    output: body.output.map(info),
    valueInfo: body.valueInfo.map(info),
    quantizationAnnotation: body.quantizationAnnotation.map((q) => ({ ...q, tensorName: of(q.tensorName) })),
  };
}
