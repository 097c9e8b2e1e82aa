import { describe, expect, it } from 'vitest';
import { Random } from '../../src/tensor/random.js';
import { checkByDifferences, type Loss } from '../../src/validate/differences.js';

/** A loss of one parameter, in float32 as a model would compute it. */
function lossOf(f: (x: Float32Array) => number, value: Float32Array): Loss {
  return {
    at: async (changed) => Math.fround(f(changed.get('w') ?? value)),
    close: async () => {},
  };
}

async function check(
  f: (x: Float32Array) => number,
  value: Float32Array,
  gradient: Float32Array,
  seed = 1,
): Promise<string> {
  const base = Math.fround(f(value));
  const at = { base, rounding: 2 ** -22 * Math.abs(base), scale: Math.abs(base) };
  return (await checkByDifferences(lossOf(f, value), { name: 'w', value, gradient }, at, seed)).verdict;
}

const random = new Random(3);
const w = Float32Array.from({ length: 50 }, () => random.normal());
const smooth = (x: Float32Array) => x.reduce((sum, v, i) => sum + Math.sin(v + i) + 0.3 * v * v, 0);
const slope = w.map((v, i) => Math.cos(v + i) + 0.6 * v);
const bent = (x: Float32Array) => x.reduce((sum, v, i) => sum + Math.max(v, 0) * (1 + i / 50), 1);
const bentSlope = w.map((v, i) => (v > 0 ? 1 + i / 50 : 0));

describe('central differences', () => {
  it('confirm right gradients', async () => {
    expect(await check(smooth, w, slope)).toBe('ok');
    expect(await check(bent, w, bentSlope)).toBe('ok');
  });

  it.each([
    ['twice too large', (g: number) => 2 * g],
    ['5 % too small', (g: number) => 0.95 * g],
    ['of the other sign', (g: number) => -g],
    ['zero', () => 0],
    ['missing for half of the elements', (g: number, i: number) => (i % 2 ? g : 0)],
  ])('notice gradients that are %s', async (_, wrong) => {
    expect(await check(smooth, w, slope.map(wrong))).toBe('WRONG');
    expect(await check(bent, w, bentSlope.map(wrong))).toBe('WRONG');
  });

  it('are uncertain where one direction alone disagrees: there a kink hides between the steps', async () => {
    const signs = Random.stream(1, 0);
    const along = w.map(() => (signs.uint32() & 1 ? 1 : -1));
    const norm = Math.sqrt(slope.reduce((sum, g) => sum + g * g, 0));
    const bump = (x: Float32Array) => {
      const moved = x.reduce((sum, v, i) => sum + (v - w[i]) * along[i], 0) / w.length;
      return Math.abs(moved) > 1e-9 ? 0.03 * norm * moved : 0;
    };
    expect(await check((x) => smooth(x) + bump(x), w, slope)).toBe('uncertain');
  });

  it('are uncertain at a kink, and never call it wrong', async () => {
    const zero = new Float32Array(4);
    const relu = (x: Float32Array) => x.reduce((sum, v) => sum + Math.max(v, 0), 1);
    for (const g of [0, 0.5, 1])
      expect(
        await check(
          relu,
          zero,
          zero.map(() => g),
        ),
      ).not.toBe('WRONG');
    expect(await check(relu, zero, zero)).toBe('uncertain');
    // Kinks at every distance from the point.
    for (let seed = 0; seed < 200; seed++) {
      const r = Random.stream(7, seed);
      const at = Float32Array.from({ length: 6 }, () => 1e-2 * r.normal());
      const x = Float32Array.from(at, (v) => v + 1);
      const f = (y: Float32Array) => y.reduce((sum, v, i) => sum + (i + 1) * Math.abs(v - 1), 1);
      const g = at.map((v, i) => Math.sign(v) * (i + 1));
      expect(await check(f, x, g, seed), `seed ${seed}`).not.toBe('WRONG');
    }
  });

  it('are uncertain where the loss is too coarse', async () => {
    const coarse = (x: Float32Array) => 1e6 + 1e-3 * smooth(x);
    expect(
      await check(
        coarse,
        w,
        slope.map((g) => 1e-3 * g),
      ),
    ).not.toBe('WRONG');
  });
});
