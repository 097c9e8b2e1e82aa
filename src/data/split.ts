import { Random } from '../tensor/random.js';

/** Numbers the streams of this room, so that none of them is another's. */
const streams = { split: 0x51, order: 0x52, sample: 0x53 } as const;

/**
 * Parts samples into those to train on and those to judge by, in ascending order. With labels every class gives the
 * same share of its samples, as nearly as whole samples allow.
 */
export function split(
  length: number,
  fraction = 0.1,
  seed = 0,
  labels?: ArrayLike<number>,
): { train: Uint32Array; val: Uint32Array } {
  const wanted = length < 2 ? 0 : Math.min(length - 1, Math.max(1, Math.round(length * fraction)));
  const groups = new Map<number, number[]>();
  for (const i of Random.stream(seed, streams.split).permutation(length)) {
    const label = labels ? labels[i] : 0;
    const group = groups.get(label);
    if (group) group.push(i);
    else groups.set(label, [i]);
  }
  // Whole parts first; what is missing goes to the groups with the largest remainders.
  const shares = [...groups].map(([label, members]) => ({
    label,
    members,
    share: (members.length * wanted) / Math.max(1, length),
  }));
  shares.sort((a, b) => (b.share % 1) - (a.share % 1) || a.label - b.label);
  let left = wanted - shares.reduce((sum, s) => sum + Math.floor(s.share), 0);
  const val: number[] = [];
  for (const { members, share } of shares) {
    const count = Math.floor(share) + (left > 0 ? 1 : 0);
    left--;
    val.push(...members.slice(0, count));
  }
  const judged = new Uint8Array(length);
  for (const i of val) judged[i] = 1;
  return {
    train: Uint32Array.from({ length }, (_, i) => i).filter((i) => judged[i] === 0),
    val: Uint32Array.from(val).sort(),
  };
}

/** @returns samples in the order of an epoch: the same for the same seed and epoch. */
export function epochOrder(indices: ArrayLike<number>, seed: number, epoch: number): Uint32Array {
  return Random.stream(seed, streams.order, epoch)
    .permutation(indices.length)
    .map((i) => indices[i]);
}

/** @returns at most `count` of the samples, drawn by seed, in ascending order. */
export function drawSamples(indices: ArrayLike<number>, count: number, seed: number): Uint32Array {
  const order = Random.stream(seed, streams.sample).permutation(indices.length);
  return order
    .subarray(0, count)
    .map((i) => indices[i])
    .sort();
}
