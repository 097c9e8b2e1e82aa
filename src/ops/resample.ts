/** How Resize samples one axis, in ONNX's words. */
export interface Resampling {
  readonly mode: string;
  readonly coordinates: string;
  readonly nearest: string;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
}

/**
 * @returns the weights of every input index in every output index along one axis.
 * **Source**: ONNX Resize 18, with coordinates in single precision as onnxruntime computes them, so that ties fall alike.
 */
export function resampleMatrix(ins: number, outs: number, scale: number, how: Resampling): Float64Array[] {
  return Array.from({ length: outs }, (_, i) => {
    const row = new Float64Array(ins);
    const x = Math.fround(coordinate(i, ins, outs, Math.fround(scale), how.coordinates));
    const clamped = (j: number) => Math.min(Math.max(j, 0), ins - 1);
    if (how.mode === 'nearest') row[clamped(rounded(x, how.nearest))] = 1;
    else if (how.mode === 'linear') {
      const at = Math.min(Math.max(x, 0), ins - 1);
      const low = Math.floor(at);
      row[low] += 1 - (at - low);
      row[clamped(low + 1)] += at - low;
    } else {
      const low = Math.floor(x);
      const taps = [-1, 0, 1, 2].map((d) => ({ at: low + d, weight: cubic(Math.abs(x - (low + d)), how.cubicA) }));
      const used = how.excludeOutside ? taps.filter((t) => t.at >= 0 && t.at < ins) : taps;
      const sum = how.excludeOutside ? used.reduce((s, t) => s + t.weight, 0) : 1;
      for (const { at, weight } of used) row[clamped(at)] += weight / sum;
    }
    return row;
  });
}

function coordinate(i: number, ins: number, outs: number, scale: number, mode: string): number {
  if (mode === 'asymmetric') return i / scale;
  if (mode === 'align_corners') return outs === 1 ? 0 : (i * (ins - 1)) / (outs - 1);
  if (mode === 'pytorch_half_pixel' && outs === 1) return 0;
  return (i + 0.5) / scale - 0.5;
}

function rounded(x: number, mode: string): number {
  if (mode === 'floor') return Math.floor(x);
  if (mode === 'ceil') return Math.ceil(x);
  return mode === 'round_prefer_ceil' ? Math.floor(x + 0.5) : Math.ceil(x - 0.5);
}

/** The cubic convolution kernel (Keys, 1981) at a distance below 2. */
function cubic(d: number, a: number): number {
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}
