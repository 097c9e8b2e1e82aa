import type { Attributes } from '../onnx/attributes.js';
import { extent, type Window } from './window.js';

/**
 * @returns what each window's sum is divided by. Padding counts where `count_include_pad` says so, but what `ceil_mode`
 * reaches beyond the declared padding never does.
 */
export function windowCounts(attrs: Attributes, window: Window): number[] {
  const { kernel, strides, dilations, before, after, input, output } = window;
  const include = attrs.int('count_include_pad', 0) !== 0;
  const computed = attrs.string('auto_pad', 'NOTSET').startsWith('SAME');
  const declared = computed ? after : (attrs.ints('pads')?.slice(kernel.length) ?? []);
  const along = output.map((windows, i) => {
    const first = include ? -before[i] : 0;
    const end = input[i] + (include ? Math.max(0, declared[i] ?? 0) : 0);
    return Array.from({ length: windows }, (_, o) => {
      const start = o * strides[i] - before[i];
      const stop = start + extent(kernel[i], dilations[i]);
      let seen = 0;
      for (let at = start; at < stop; at += dilations[i]) if (at >= first && at < end) seen++;
      return seen;
    });
  });
  return along.reduce<number[]>((all, counts) => all.flatMap((a) => counts.map((b) => a * b)), [1]);
}
