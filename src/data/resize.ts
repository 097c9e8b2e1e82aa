import type { ImageSize } from './dataset.js';

/** How the values of a picture lie. */
export interface Raster extends ImageSize {
  readonly order: 'planar' | 'interleaved';
}

/**
 * A function that scales pictures of one size to another: so that the short side fits, cropped to the centre, with
 * linear interpolation over all pixels that a new one covers. Colours become grey by their luma where one channel is
 * asked for, grey is repeated where three are; a fourth channel (transparency) is dropped.
 */
export function resizer(from: Raster, to: ImageSize): (data: Uint8Array, offset: number) => Uint8Array {
  const scale = Math.max(to.height / from.height, to.width / from.width);
  const rows = taps(from.height, to.height, scale);
  const columns = taps(from.width, to.width, scale);
  const planar = from.order === 'planar';
  const size = from.height * from.width;
  const step = planar ? 1 : from.channels;
  const plane = planar ? size : 1;
  const outStep = planar ? 1 : to.channels;
  const outPlane = planar ? to.height * to.width : 1;
  const grey = to.channels === 1 && from.channels >= 3;
  const between = new Float32Array(from.height * to.width);
  const level = grey ? new Float32Array(size) : undefined;

  return (data, offset) => {
    const out = new Uint8Array(to.height * to.width * to.channels);
    for (let c = 0; c < to.channels; c++) {
      let source: Uint8Array | Float32Array = data;
      let at = offset + Math.min(c, from.channels - 1) * plane;
      let stride = step;
      if (level) {
        for (let i = 0; i < size; i++) {
          const p = offset + i * step;
          level[i] = 0.299 * data[p] + 0.587 * data[p + plane] + 0.114 * data[p + 2 * plane];
        }
        source = level;
        at = 0;
        stride = 1;
      }
      for (let y = 0; y < from.height; y++)
        for (let x = 0; x < to.width; x++) {
          let sum = 0;
          for (let k = columns.start[x], w = columns.at[x]; k < columns.end[x]; k++, w++)
            sum += columns.weights[w] * source[at + (y * from.width + k) * stride];
          between[y * to.width + x] = sum;
        }
      for (let y = 0; y < to.height; y++)
        for (let x = 0; x < to.width; x++) {
          let sum = 0;
          for (let k = rows.start[y], w = rows.at[y]; k < rows.end[y]; k++, w++)
            sum += rows.weights[w] * between[k * to.width + x];
          out[c * outPlane + (y * to.width + x) * outStep] = Math.min(255, Math.max(0, Math.round(sum)));
        }
    }
    return out;
  };
}

interface Taps {
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** Where the weights of a new pixel begin. */
  readonly at: Int32Array;
  readonly weights: number[];
}

/** Which old pixels a new one is made of, along one axis. */
function taps(from: number, to: number, scale: number): Taps {
  const reach = Math.max(1, 1 / scale);
  const first = (from - to / scale) / 2;
  const start = new Int32Array(to);
  const end = new Int32Array(to);
  const at = new Int32Array(to);
  const weights: number[] = [];
  for (let i = 0; i < to; i++) {
    const centre = first + (i + 0.5) / scale;
    start[i] = Math.max(0, Math.floor(centre - reach + 0.5));
    end[i] = Math.min(from, Math.floor(centre + reach + 0.5));
    at[i] = weights.length;
    let sum = 0;
    for (let k = start[i]; k < end[i]; k++) {
      const weight = Math.max(0, 1 - Math.abs((k + 0.5 - centre) / reach));
      weights.push(weight);
      sum += weight;
    }
    for (let w = at[i]; w < weights.length; w++) weights[w] /= sum;
  }
  return { start, end, at, weights };
}
