import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../src/tensor/random.js';

/** Width and height of a drawn glyph. */
export const GLYPH_SIZE = 28;

type Point = readonly [x: number, y: number];

/** Each glyph as strokes in the square −1 … 1, y downwards. */
const glyphs: Readonly<Record<string, readonly (readonly Point[])[]>> = {
  circle: [arc(0, 0, 0.8, 0, 2 * Math.PI)],
  square: [polygon(4, 0.95, Math.PI / 4)],
  triangle: [polygon(3, 0.95, -Math.PI / 2)],
  star: [starPoints()],
  cross: [
    [
      [-0.7, -0.7],
      [0.7, 0.7],
    ],
    [
      [0.7, -0.7],
      [-0.7, 0.7],
    ],
  ],
  arrow: [
    [
      [-0.9, 0],
      [0.9, 0],
    ],
    [
      [0.3, -0.55],
      [0.9, 0],
      [0.3, 0.55],
    ],
  ],
  wave: [
    Array.from({ length: 17 }, (_, i) => [-0.9 + (i / 16) * 1.8, 0.55 * Math.sin((i / 16) * 2 * Math.PI)] as const),
  ],
  spiral: [Array.from({ length: 25 }, (_, i) => polar((i / 24) * 0.9, (i / 24) * 3.6 * Math.PI))],
  lightning: [
    [
      [0.25, -0.95],
      [-0.45, 0.1],
      [0.35, -0.05],
      [-0.25, 0.95],
    ],
  ],
  hook: [
    [
      [0.35, -0.9],
      [0.35, 0.35],
    ],
    arc(-0.1, 0.35, 0.45, 0, Math.PI),
  ],
};

/** The classes, in the order of their labels. */
export const glyphNames: readonly string[] = Object.keys(glyphs);

export interface GlyphOptions {
  readonly seed?: number;
  readonly train?: number;
  readonly test?: number;
}

/**
 * Draws a small data set of ten glyphs and writes it as four IDX files, named like MNIST's.
 * Every sample is turned, stretched, sheared, shifted, bent at its corners and blurred with noise, all by the seed.
 */
export async function writeGlyphs(folder: string, options: GlyphOptions = {}): Promise<void> {
  const { seed = 0, train = 6000, test = 1000 } = options;
  await mkdir(folder, { recursive: true });
  for (const [part, count, stream] of [
    ['train', train, 1],
    ['t10k', test, 2],
  ] as const) {
    const random = Random.stream(seed, stream);
    const images = new Uint8Array(count * GLYPH_SIZE ** 2);
    const labels = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      labels[i] = random.below(glyphNames.length);
      images.set(drawGlyph(labels[i], random), i * GLYPH_SIZE ** 2);
    }
    await writeFile(join(folder, `${part}-images-idx3-ubyte`), idx(images, [count, GLYPH_SIZE, GLYPH_SIZE]));
    await writeFile(join(folder, `${part}-labels-idx1-ubyte`), idx(labels, [count]));
  }
}

/** @returns one sample of a class, white strokes on black, row by row. */
export function drawGlyph(label: number, random: Random): Uint8Array {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  const half = GLYPH_SIZE / 2;
  const angle = between(-0.35, 0.35);
  const [scaleX, scaleY, shear] = [between(6.5, 10.5), between(6.5, 10.5), between(-0.25, 0.25)];
  const [shiftX, shiftY] = [between(-2.5, 2.5), between(-2.5, 2.5)];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const strokes = glyphs[glyphNames[label]].map((stroke) =>
    stroke.map(([px, py]): Point => {
      const x = (px + shear * py + 0.04 * random.normal()) * scaleX;
      const y = (py + 0.04 * random.normal()) * scaleY;
      return [half + shiftX + x * cos - y * sin, half + shiftY + x * sin + y * cos];
    }),
  );
  const radius = between(0.7, 1.6);
  const ink = between(150, 255);
  const noise = between(4, 24);
  const pixels = new Uint8Array(GLYPH_SIZE ** 2);
  for (let row = 0; row < GLYPH_SIZE; row++) {
    for (let column = 0; column < GLYPH_SIZE; column++) {
      const away = Math.sqrt(squaredDistance(column + 0.5, row + 0.5, strokes));
      const cover = Math.min(1, Math.max(0, radius + 0.5 - away));
      const value = ink * cover + noise * Math.abs(random.normal());
      pixels[row * GLYPH_SIZE + column] = Math.min(255, Math.round(value));
    }
  }
  return pixels;
}

function squaredDistance(x: number, y: number, strokes: readonly (readonly Point[])[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const stroke of strokes) {
    for (let i = 1; i < stroke.length; i++) {
      const [ax, ay] = stroke[i - 1];
      const [dx, dy] = [stroke[i][0] - ax, stroke[i][1] - ay];
      const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
      const [ex, ey] = [x - ax - along * dx, y - ay - along * dy];
      least = Math.min(least, ex * ex + ey * ey);
    }
  }
  return least;
}

function polar(radius: number, angle: number): Point {
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

function arc(x: number, y: number, radius: number, from: number, to: number): Point[] {
  return Array.from({ length: 17 }, (_, i) => {
    const [dx, dy] = polar(radius, from + ((to - from) * i) / 16);
    return [x + dx, y + dy];
  });
}

function polygon(corners: number, radius: number, turn: number): Point[] {
  return Array.from({ length: corners + 1 }, (_, i) => polar(radius, turn + (2 * Math.PI * i) / corners));
}

function starPoints(): Point[] {
  return Array.from({ length: 11 }, (_, i) => polar(i % 2 === 0 ? 0.95 : 0.4, -Math.PI / 2 + (Math.PI * i) / 5));
}

/** An IDX file of bytes: magic number, sizes (big-endian), values. */
function idx(values: Uint8Array, dims: readonly number[]): Uint8Array {
  const file = new Uint8Array(4 + 4 * dims.length + values.length);
  const header = new DataView(file.buffer);
  header.setUint32(0, 0x0800 + dims.length);
  dims.forEach((d, i) => {
    header.setUint32(4 + 4 * i, d);
  });
  file.set(values, 4 + 4 * dims.length);
  return file;
}
