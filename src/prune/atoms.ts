/** Disjoint sets of atoms (channel indices), some of them pinned. */
export class Atoms {
  private readonly parent: Int32Array;
  /** Per atom: what pins it, -1 for nothing, -2 for an atom that is cut by other means. */
  private readonly pins: Int32Array;

  constructor(count: number) {
    this.parent = Int32Array.from({ length: count }, (_, i) => i);
    this.pins = new Int32Array(count).fill(-1);
  }

  find(atom: number): number {
    const { parent } = this;
    let at = atom;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]];
      at = parent[at];
    }
    return at;
  }

  /** The class takes its smallest atom as root, so that units are numbered in the order of the graph. */
  unite(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    if (x < y) this.parent[y] = x;
    else this.parent[x] = y;
  }

  /** Pins a range of atoms; the first reason stays. */
  pin(from: number, count: number, reason: number): void {
    for (let i = from; i < from + count; i++) if (this.pins[i] === -1) this.pins[i] = reason;
  }

  /** Takes a range of atoms out: they are no units. */
  exempt(from: number, count: number): void {
    this.pins.fill(-2, from, from + count);
  }

  /** @returns per atom its unit (-1: pinned or exempt) and what pins its class (-1: nothing). */
  classes(): { unit: Int32Array; units: number; pinned: Int32Array } {
    const { length } = this.parent;
    const reason = new Int32Array(length).fill(-1);
    for (let i = 0; i < length; i++) {
      const root = this.find(i);
      if (reason[root] === -1 || (reason[root] === -2 && this.pins[i] >= 0)) reason[root] = this.pins[i];
    }
    const unit = new Int32Array(length).fill(-1);
    const pinned = new Int32Array(length);
    let units = 0;
    for (let i = 0; i < length; i++) {
      const root = this.find(i);
      pinned[i] = reason[root];
      if (reason[root] === -1) unit[i] = root === i ? units++ : unit[root];
    }
    return { unit, units, pinned };
  }
}
