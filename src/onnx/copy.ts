import type { GraphProto, NodeProto } from './proto.js';

/** @returns a graph whose lists and nodes may be changed; tensors are shared. */
export function copyGraph(graph: GraphProto): GraphProto {
  return {
    ...graph,
    node: graph.node.map(copyNode),
    initializer: [...graph.initializer],
    sparseInitializer: [...graph.sparseInitializer],
    input: [...graph.input],
    output: [...graph.output],
    valueInfo: [...graph.valueInfo],
    quantizationAnnotation: [...graph.quantizationAnnotation],
  };
}

function copyNode(node: NodeProto): NodeProto {
  const attribute = node.attribute.map((a) => ({
    ...a,
    ...(a.g && { g: copyGraph(a.g) }),
    ...(a.graphs.length > 0 && { graphs: a.graphs.map(copyGraph) }),
  }));
  return { ...node, input: [...node.input], output: [...node.output], attribute };
}
