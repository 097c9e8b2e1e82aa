import { bodiesOf, definedIn, graphsFrom } from './graph.js';
import type { GraphProto, ModelProto, NodeProto } from './proto.js';
import { type Fresh, freshNames, type Names, renamedBody } from './rename.js';

/**
 * @returns the model with a name of its own for every value, those inside bodies too: what a body defines under a name
 * that is taken elsewhere (in another branch, or outside, which it shadows) gets a number. Other names stay; without such
 * names it is the model itself.
 */
export function withUniqueNames(model: ModelProto): ModelProto {
  const seen = new Set<string>();
  let isUnique = true;
  for (const { graph } of graphsFrom(model.graph)) {
    for (const name of definedIn(graph)) {
      if (seen.has(name)) isUnique = false;
      seen.add(name);
    }
  }
  if (isUnique) return model;
  const fresh = freshNames(seen);
  const used = new Set<string>();
  const own: Fresh = (name) => {
    const given = used.has(name) ? fresh(name) : name;
    used.add(given);
    return given;
  };
  for (const name of definedIn(model.graph)) used.add(name);
  return { ...model, graph: withNodes(model.graph, (node) => renamedBodies(node, own)) };
}

function withNodes(graph: GraphProto, each: (node: NodeProto) => NodeProto): GraphProto {
  return { ...graph, node: graph.node.map((node) => (bodiesOf(node).length === 0 ? node : each(node))) };
}

function renamedBodies(node: NodeProto, own: Fresh): NodeProto {
  const outer: Names = new Map();
  const attribute = node.attribute.map((a) =>
    a.g || a.graphs.length > 0
      ? {
          ...a,
          ...(a.g && { g: renamedBody(a.g, outer, own) }),
          graphs: a.graphs.map((body) => renamedBody(body, outer, own)),
        }
      : a,
  );
  return { ...node, attribute };
}
