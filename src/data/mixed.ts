import type { Dataset, RawArray, Source } from './dataset.js';

/**
 * The same samples, each with a share of another one laid over it: harder ones, within the range of values of the data,
 * and none that a model has learnt by heart. Labels stay as they are.
 * Source of the mixing: Zhang et al., mixup, ICLR 2018, eq. 1, with a fixed weight and the label left as it is.
 * @param among samples that others are taken from
 * @param own share that is left of a sample, 0.5 … 1
 */
export function mixed(dataset: Dataset, among: ArrayLike<number>, own: number): Dataset {
  const partner = (index: number, k: number) => {
    const other = among[(index * 31 + k * 7 + 1) % among.length];
    return other === index ? among[(index * 31 + k * 7 + 2) % among.length] : other;
  };
  const over = (source: Source): Source => ({
    length: source.length,
    elements: source.elements,
    async read(indices) {
      const first = await source.read(indices);
      const others = await source.read(Array.from(indices, partner));
      const n = source.elements;
      const data = emptyLike(first.data, indices.length * n);
      const whole = data instanceof Uint8Array;
      for (let k = 0; k < indices.length; k++)
        for (let j = 0; j < n; j++) {
          const value = own * first.data[first.offsets[k] + j] + (1 - own) * others.data[others.offsets[k] + j];
          data[k * n + j] = whole ? Math.round(value) : value;
        }
      return { data, offsets: Float64Array.from({ length: indices.length }, (_, k) => k * n) };
    },
  });
  const sample = dataset.sample.map((part) =>
    part.kind === 'image'
      ? { ...part, at: (size: Parameters<typeof part.at>[0]) => over(part.at(size)) }
      : { ...part, source: over(part.source) },
  );
  return { ...dataset, sample };
}

function emptyLike(data: RawArray, length: number): RawArray {
  if (data instanceof Uint8Array) return new Uint8Array(length);
  return data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}
