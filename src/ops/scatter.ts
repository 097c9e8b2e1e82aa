import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { OpNode } from './spec.js';

/** @returns zeros of a value's shape. */
export function zerosLike(g: GraphBuilder, x: Value): Value {
  return g.expand(g.scalar(0, x.dtype), x.shape);
}

/** The two directions of an indexing operator: both take the shape of `data`. */
export interface Indexing {
  scatter(data: Value, updates: Value, reduction: string): Value;
  gather(data: Value): Value;
}

/**
 * The gradients of Y = `data` with `updates` written to, added to, … the places that the indices name. Where several
 * candidates are the maximum (minimum) of a place, they share its gradient.
 */
export function scatterGradients(
  g: GraphBuilder,
  { inputs, outputs: [y], attrs }: OpNode,
  dy: Value,
  { scatter, gather }: Indexing,
): [() => Value, null, () => Value] {
  const [data, indices, updates] = inputs;
  const zeros = (): Value => zerosLike(g, updates);
  const ones = (like: Value): Value => g.expand(g.scalar(1, like.dtype), like.shape);
  switch (attrs.string('reduction', 'none')) {
    case 'none':
      return [
        () => scatter(dy, zeros(), 'none'),
        null,
        () => {
          if (indices.constant) return gather(dy);
          // Of updates to one place the last one written stays: each is told by a number, and what stays is read back.
          const numbers = g.cast(g.reshape(g.constant(iota(sizeOf(updates.shape))), updates.shape), data.dtype);
          const written = gather(scatter(zerosLike(g, data), numbers, 'none'));
          return g.where(g.equal(written, numbers), gather(dy), 0);
        },
      ];
    case 'add':
      return [() => dy, null, () => gather(dy)];
    case 'mul':
      return [
        () => g.mul(dy, scatter(ones(data), updates, 'mul')),
        null,
        () => {
          // The product of all other factors of a place: zeros are counted, for they cannot be divided out.
          const isZero = g.equal(updates, 0);
          const others = scatter(data, g.where(isZero, 1, updates), 'mul');
          const count = scatter(zerosLike(g, data), g.cast(isZero, data.dtype), 'add');
          const rest = g.div(gather(others), g.where(isZero, 1, updates));
          const free = g.equal(g.sub(gather(count), g.cast(isZero, data.dtype)), 0);
          return g.mul(gather(dy), g.where(free, rest, 0));
        },
      ];
    default: {
      const chosen = (of: Value, by: Value): Value => g.cast(g.equal(of, by), data.dtype);
      const share = (): Value => g.div(dy, g.max(scatter(chosen(data, y), chosen(updates, gather(y)), 'add'), 1));
      return [() => g.mul(share(), chosen(data, y)), null, () => g.mul(gather(share()), chosen(updates, gather(y)))];
    }
  }
}

function iota(size: number): Tensor {
  return float32(
    [size],
    Array.from({ length: size }, (_, i) => i),
  );
}

/** @returns a place for every element, counted through a whole tensor. */
export function flattened(g: GraphBuilder, x: Value): Value {
  return g.reshape(x, [sizeOf(x.shape)]);
}
