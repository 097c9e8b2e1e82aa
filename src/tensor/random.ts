/** A seeded stream of random numbers (splitmix32): same seed, same numbers, on every machine. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** @returns an unsigned 32-bit integer. */
  uint32(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  }

  /** @returns a number in [0, 1). */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** @returns an integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** @returns a number of the standard normal distribution (Box–Muller). */
  normal(): number {
    const u = 1 - this.uniform();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** @returns 0 … n-1 in random order (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
    return order;
  }

  /** @returns a stream of its own for a named purpose, independent of how far this one has run. */
  static stream(seed: number, ...path: number[]): Random {
    let state = seed >>> 0;
    for (const step of path) state = new Random((state ^ Math.imul(step + 1, 0x27d4eb2f)) >>> 0).uint32();
    return new Random(state);
  }
}
