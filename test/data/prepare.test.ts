import { describe, expect, it } from 'vitest';
import { storedImages } from '../../src/data/arrays.js';
import { type AugmentPolicy, moveOf } from '../../src/data/augment.js';
import type { Dataset } from '../../src/data/dataset.js';
import { checkLabels, prepare } from '../../src/data/prepare.js';
import { asTheyAre } from '../../src/data/preprocessing.js';
import { memorySource } from '../../src/data/source.js';
import { counting } from './files.js';

const raster = { height: 8, width: 10, channels: 3 };
const elements = 240;

function pictures(
  order: 'planar' | 'interleaved' = 'planar',
  data: Uint8Array | Float32Array = counting(6 * elements),
): Dataset {
  const dtype = data instanceof Uint8Array ? 'uint8' : 'float32';
  const part = storedImages('image', { ...raster, order }, memorySource(data, 6, elements), dtype, {});
  return {
    format: 'idx',
    path: 'x',
    length: 6,
    sample: [part],
    target: { kind: 'class', classes: 3 },
    labels: Int32Array.of(0, 1, 2, 0, 1, 2),
  };
}

const chw = { name: 'x', dtype: 'float32', shape: [3, 8, 10] } as const;
const hwc = { name: 'x', dtype: 'float32', shape: [8, 10, 3] } as const;

function vectors(data: Float32Array, width: number): Dataset {
  const length = data.length / width;
  return {
    format: 'csv',
    path: 'x',
    length,
    sample: [{ kind: 'tensor', name: 'features', shape: [width], source: memorySource(data, length, width) }],
  };
}

describe('prepared data', () => {
  it('scales, subtracts and divides by channel, whatever the order of axes and colours', async () => {
    const mean = [1, 2, 3];
    const std = [2, 4, 8];
    for (const order of ['planar', 'interleaved'] as const)
      for (const input of [chw, hwc])
        for (const channels of ['rgb', 'bgr'] as const) {
          const layout = input === chw ? 'NCHW' : 'NHWC';
          const prepared = prepare(pictures(order), [input], { scale: 0.5, mean, std, layout, channels });
          const { inputs, targets } = await prepared.gather([5, 2]);
          expect(inputs.x.dims).toEqual([2, ...input.shape]);
          expect(targets).toEqual({ dtype: 'int64', dims: [2], data: BigInt64Array.of(2n, 2n) });
          for (const [k, sample] of [5, 2].entries())
            for (const [c, y, x] of [
              [0, 0, 0],
              [1, 3, 4],
              [2, 7, 9],
            ]) {
              const colour = channels === 'bgr' ? 2 - c : c;
              const at = order === 'planar' ? colour * 80 + y * 10 + x : (y * 10 + x) * 3 + colour;
              const to = layout === 'NCHW' ? c * 80 + y * 10 + x : (y * 10 + x) * 3 + c;
              const raw = (sample * elements + at) & 255;
              expect(inputs.x.data[k * elements + to]).toBeCloseTo((raw * 0.5 - mean[c]) / std[c], 5);
            }
        }
  });

  it.each(['flip', 'crop-flip', 'shift'] as AugmentPolicy[])(
    'moves pictures by %s as a plain loop does, for bytes and numbers',
    async (policy) => {
      for (const data of [counting(6 * elements), Float32Array.from(counting(6 * elements))])
        for (const [order, input] of [
          ['planar', chw],
          ['interleaved', chw],
          ['planar', hwc],
        ] as const) {
          const layout = input === chw ? 'NCHW' : 'NHWC';
          const prepared = prepare(pictures(order, data), [input], { ...asTheyAre, mean: [3], layout });
          for (let epoch = 0; epoch < 4; epoch++) {
            const augment = { policy, seed: 7, epoch };
            const { inputs } = await prepared.gather([4], augment);
            const plain = (await prepared.gather([4])).inputs.x.data;
            const at = (c: number, y: number, x: number) =>
              layout === 'NCHW' ? c * 80 + y * 10 + x : (y * 10 + x) * 3 + c;
            const move = moveOf(augment, 4, 8, 10) ?? { dy: 0, dx: 0, flip: false, edge: false };
            for (let c = 0; c < 3; c++)
              for (let y = 0; y < 8; y++)
                for (let x = 0; x < 10; x++) {
                  const sy = y + move.dy;
                  const sx = (move.flip ? 9 - x : x) + move.dx;
                  const inside = sy >= 0 && sy < 8 && sx >= 0 && sx < 10;
                  const from = at(c, Math.min(7, Math.max(0, sy)), Math.min(9, Math.max(0, sx)));
                  const expected = inside || move.edge ? plain[from] : -3;
                  if (inputs.x.data[at(c, y, x)] !== expected)
                    expect.fail(
                      `${order} ${layout} ${JSON.stringify(move)} at ${c},${y},${x}: ${inputs.x.data[at(c, y, x)]} instead of ${expected}`,
                    );
                }
          }
        }
    },
  );

  it('augments a sample alike in any batch, and otherwise in another epoch', async () => {
    const prepared = prepare(pictures(), [chw]);
    const one = await prepared.gather([0, 1, 2, 3], { policy: 'crop-flip', seed: 1, epoch: 5 });
    const other = await prepared.gather([3, 1], { policy: 'crop-flip', seed: 1, epoch: 5 });
    expect(other.inputs.x.data.slice(0, elements)).toEqual(one.inputs.x.data.slice(3 * elements));
    const next = await prepared.gather([0, 1, 2, 3], { policy: 'crop-flip', seed: 1, epoch: 6 });
    expect(next.inputs.x.data).not.toEqual(one.inputs.x.data);
  });

  it('resizes stored pictures and repeats or mixes their channels', async () => {
    const flat = new Uint8Array(6 * elements);
    for (let i = 0; i < flat.length; i++) flat[i] = [30, 60, 90][Math.floor((i % elements) / 80)];
    const small = prepare(pictures('planar', flat), [{ ...chw, shape: [3, 4, 4] }]);
    expect(small.choices.join()).toMatch(/scaled to 4×4/);
    const { inputs } = await small.gather([1]);
    expect([...inputs.x.data].filter((_, i) => i % 16 === 5)).toEqual([30, 60, 90]);
    const grey = await prepare(pictures('planar', flat), [{ ...chw, shape: [1, 16, 16] }]).gather([1]);
    expect(new Set(Array.from(grey.inputs.x.data, Number))).toEqual(
      new Set([Math.round(0.299 * 30 + 0.587 * 60 + 0.114 * 90)]),
    );
  });

  it('flattens pictures for a model of vectors, and gives vectors the shape of a picture', async () => {
    const { inputs } = await prepare(pictures(), [{ ...chw, shape: [240] }]).gather([0]);
    expect([...inputs.x.data.slice(0, 3)]).toEqual([0, 1, 2]);
    const row = Float32Array.from({ length: 784 }, (_, i) => i / 4);
    const { inputs: shaped } = await prepare(vectors(row, 784), [
      { name: 'x', dtype: 'float32', shape: [1, 28, 28] },
    ]).gather([0], { policy: 'shift', seed: 0, epoch: 0 });
    expect(shaped.x.dims).toEqual([1, 1, 28, 28]);
    expect(shaped.x.data[300]).not.toBe(75);
  });

  it('standardises features one by one, and makes the type that the model takes', async () => {
    const data = vectors(Float32Array.of(1, 10, 3, 30), 2);
    const standard = { ...asTheyAre, mean: [2, 20], std: [1, 10] };
    const make = async (dtype: 'float32' | 'float16' | 'int64' | 'uint8') =>
      (await prepare(data, [{ name: 'x', dtype, shape: [2] }], standard).gather([0, 1])).inputs.x.data;
    expect([...(await make('float32'))]).toEqual([-1, -1, 1, 1]);
    expect(await make('float16')).toEqual(Uint16Array.of(0xbc00, 0xbc00, 0x3c00, 0x3c00));
    expect(await make('int64')).toEqual(BigInt64Array.of(-1n, -1n, 1n, 1n));
  });

  it('says what does not fit', () => {
    expect(() => prepare(pictures(), [{ ...chw, shape: [7] }])).toThrow(
      /takes \[7\] per sample, the data holds pictures of 8×10 RGB/,
    );
    expect(() => prepare(pictures('planar', new Float32Array(6 * elements)), [{ ...chw, shape: [3, 4, 4] }])).toThrow(
      /takes \[3, 4, 4\]/,
    );
    expect(() => prepare(vectors(new Float32Array(6), 3), [{ ...chw, shape: [null, 2] }])).toThrow(
      /takes \[\?, 2\] per sample, the data holds \[3\]/,
    );
    expect(() => prepare(pictures(), [chw], { ...asTheyAre, mean: [1, 2] })).toThrow(
      /2 means or deviations, a sample has 3 channels/,
    );
    expect(() => checkLabels(pictures(), 2)).toThrow(/sample 2 has the label 2, the model has 2 outputs/);
    expect(() => checkLabels(pictures(), 1)).toThrow(/one output: classes 0…1/);
    expect(() => checkLabels(pictures(), 3)).not.toThrow();
  });
});
