import { readsOf, sortedNodes } from '../onnx/graph.js';
import type { GraphProto, NodeProto } from '../onnx/proto.js';

/** Operators that look at the shape of their input, not at its contents. */
const shapeOnly = new Set(['Shape', 'Size', 'EyeLike']);

const random = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

/** Operators whose outputs are no tensors: nobody can read what they hold. */
const sequences = new Set([
  'SequenceEmpty',
  'SequenceConstruct',
  'SequenceInsert',
  'SequenceErase',
  'SplitToSequence',
  'Optional',
]);

/**
 * @returns names of the values that follow from constants and shapes alone: initializers (also those that an old file
 * lists as inputs), Constant nodes, shapes, and whatever deterministic operators make of them.
 */
export function staticValues(
  graph: GraphProto,
  { given = [], unknown, open, shapes = true }: StaticOptions = {},
): Set<string> {
  const known = new Set([...given, ...graph.initializer.map((t) => t.name ?? '')]);
  for (const sparse of graph.sparseInitializer) known.add(sparse.values?.name ?? '');
  for (const node of sortedNodes(graph)) {
    if (!isStatic(node, known, shapes) || (open && readsOf(node).some((name) => open.has(name)))) continue;
    for (const name of node.output) if (name !== '' && !unknown?.has(name)) known.add(name);
  }
  return known;
}

interface StaticOptions {
  /** Names of inputs that count as known. */
  readonly given?: Iterable<string>;
  /** Names of values that do not, whatever they are made of. */
  readonly unknown?: ReadonlySet<string>;
  /** Names of constants of which nothing that is made counts as known: they are to be trained. */
  readonly open?: ReadonlySet<string>;
  /** False leaves out what follows from shapes of values that are not known. */
  readonly shapes?: boolean;
}

function isStatic(node: NodeProto, known: ReadonlySet<string>, shapes: boolean): boolean {
  if (random.has(node.opType) || (!node.domain && sequences.has(node.opType))) return false;
  if (shapes && !node.domain && shapeOnly.has(node.opType)) return true;
  if (node.opType === 'Constant') return true;
  return readsOf(node).every((name) => known.has(name));
}
