import { Attributes } from '../onnx/attributes.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { type Figures, filled } from './reference.js';

/*
 * PyTorch's nn.Embedding can be told of a row that stands for padding (`padding_idx`): what is looked up there gets no
 * gradient. The exported Gather does not tell of it, so that the file's own gradient has that row.
 */

/** A training graph in which tables that are looked up are parameters apart from their other uses, and how these are called. */
export interface Lookups {
  readonly graph: TrainingGraph;
  /** Names of the looked-up tables in the graph, by the user's names. */
  readonly tables: ReadonlyMap<string, string>;
}

/** Gives the tables whose rows Gather nodes read a name of their own there: gradients of lookups are told apart so. */
export function lookupsApart(graph: TrainingGraph): Lookups {
  const tables = new Map<string, string>();
  const parameters = new Map(graph.parameters);
  const values = new Map(graph.values);
  const clones = [...graph.clones];
  const nodes = graph.nodes.map((node) => {
    const [data] = node.input;
    const table = graph.parameters.get(data);
    if (node.opType !== 'Gather' || node.domain || table?.dims.length !== 2) return node;
    if (new Attributes(node).int('axis', 0) !== 0) return node;
    const name = `${data}/looked up`;
    if (!parameters.has(name)) {
      const of = graph.clones.find((c) => c.name === data)?.of ?? data;
      parameters.set(name, table);
      values.set(name, values.get(data)!);
      clones.push({ name, of, node: -1, input: 0 });
      tables.set(of, name);
    }
    return { ...node, input: [name, ...node.input.slice(1)] };
  });
  return { graph: { ...graph, nodes, parameters, values, clones }, tables };
}

/**
 * @param whole the gradient of a table [rows, width], all its uses together
 * @param looked the part that comes from its lookups
 * @param agrees tells whether figures are those of the reference
 * @returns the row without whose lookups the gradient is that of the reference, and the figures of that
 */
export function paddingRowOf(
  whole: Float32Array,
  looked: Float32Array,
  width: number,
  dotSeeds: readonly number[],
  agrees: (figures: Figures) => boolean,
): { readonly row: number; readonly figures: Figures } | undefined {
  const fills = dotSeeds.map((seed) => filled(whole.length, { seed }));
  const dots = fills.map((fill) => whole.reduce((sum, x, i) => sum + x * fill[i], 0));
  const squares = whole.reduce((sum, x) => sum + x * x, 0);
  for (let from = 0; from < whole.length; from += width) {
    let [less, any] = [squares, false];
    const dot = [...dots];
    for (let i = from; i < from + width; i++) {
      if (looked[i] === 0) continue;
      any = true;
      less += (whole[i] - looked[i]) ** 2 - whole[i] ** 2;
      fills.forEach((fill, k) => (dot[k] -= looked[i] * fill[i]));
    }
    const figures = { l2: Math.sqrt(Math.max(0, less)), dot };
    if (any && agrees(figures)) return { row: from / width, figures };
  }
  return undefined;
}
