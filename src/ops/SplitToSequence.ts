import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { Formula } from './formula.js';
import { front, ints } from './knownInts.js';
import { holding, sequence } from './sequence.js';

/** Cuts an axis into given sizes, into pieces of one size (the last may be smaller), or into single indices. */
export const SplitToSequence = sequence({
  op: 'SplitToSequence',
  since: 11,
  inputs: ['input', 'split?'],
  outputs: ['output_sequence'],
  normalise: (node, context) => {
    const [x, split] = node.input;
    const shape = context.shape(x);
    const known = split ? context.known(split) : undefined;
    if (!shape || (split && !known)) return undefined;
    const attrs = new Attributes(node);
    const axis = front(attrs.int('axis', 0), shape.length);
    const sizes = known && known.dims.length > 0 ? ints(known) : pieces(shape[axis], known ? ints(known)[0] : 1);
    const f = new Formula(node, context);
    const parts = sizes.map(() => context.fresh(`${node.output[0]}/part`));
    const nodes = f.last('Split', [x, f.ints(sizes)], { axis }, parts);
    if (split || attrs.int('keepdims', 1) === 1) {
      holding(node, context, parts);
      return nodes;
    }
    const axes = f.ints([axis]);
    const flat = parts.map((part) => context.fresh(`${part}/flat`));
    holding(node, context, flat);
    return [...nodes, ...parts.map((part, i) => makeNode('Squeeze', [part, axes], [flat[i]], {}, { name: flat[i] }))];
  },
});

function pieces(size: number, piece: number): number[] {
  return Array.from({ length: Math.ceil(size / piece) }, (_, i) => Math.min(piece, size - i * piece));
}
