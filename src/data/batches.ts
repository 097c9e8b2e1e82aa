import type { Augment } from './augment.js';
import type { Batch, PreparedData } from './prepare.js';

export interface BatchesOptions {
  readonly augment?: Augment;
  /** Batches that are made ahead. Default 1. */
  readonly prefetch?: number;
  /** Leave out a last batch of fewer samples. Default false. */
  readonly full?: boolean;
}

/**
 * Batches of `size` samples in the given order. While one is used the next are made: they begin when the event loop
 * turns, so that whoever receives a batch can start the training of it first.
 */
export async function* batches(
  prepared: PreparedData,
  order: ArrayLike<number>,
  size: number,
  { augment, prefetch = 1, full = false }: BatchesOptions = {},
): AsyncGenerator<Batch & { readonly indices: Uint32Array }> {
  const all = Uint32Array.from(order);
  const count = full ? Math.floor(all.length / size) : Math.ceil(all.length / size);
  const make = async (b: number) => {
    const indices = all.subarray(b * size, (b + 1) * size);
    return { ...(await prepared.gather(indices, augment)), indices };
  };
  const later = async (b: number) => {
    await new Promise((resolve) => setImmediate(resolve));
    return make(b);
  };
  const waiting: ReturnType<typeof make>[] = [];
  for (let b = 0; b < count; b++) {
    const batch = waiting.length > 0 ? await waiting.shift()! : await make(b);
    while (waiting.length < prefetch && b + 1 + waiting.length < count) {
      const next = later(b + 1 + waiting.length);
      // A failure is met when its turn comes; until then it must not count as unhandled.
      next.catch(() => undefined);
      waiting.push(next);
    }
    yield batch;
  }
}
