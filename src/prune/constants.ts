import type { AxisRef, ChannelValue, Link, Mix } from '../ops/spec.js';
import { isFloat } from '../tensor/half.js';
import type { Channels, RelatedNode, Slots } from './channels.js';
import { numbersOf } from './contents.js';
import { slices } from './measure.js';
import { layoutOf } from './mixing.js';

/** What is known of every slot of a graph. */
export interface Flow {
  /** 1 where the slice holds one and the same number whatever the inputs are. */
  readonly constant: Uint8Array;
  /** That number. */
  readonly level: Float64Array;
  /** 1 where the slice holds the zero point that the same node tells at run time. */
  readonly resting: Uint8Array;
  /** 1 where an output of the model may change with the slice. */
  readonly needed: Uint8Array;
}

/** Smallest and largest number found in every slot of the asked values, in runs of the model. */
export interface Levels {
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Largest magnitude in the whole value. */
  readonly magnitude: ReadonlyMap<string, number>;
}

/** Runs the model and reads the named values. */
export type Measure = (values: readonly Slots[]) => Promise<Levels>;

/** How far numbers that are equal by proof may lie apart by rounding, as a share of the largest in their value. */
const ROUNDING = 1e-6;

/**
 * Finds constant and unneeded slots. Constant is what is so by proof (operators' rules and zero weights); its level is
 * read from runs, where it must show as constant as well.
 */
export async function analyseFlow(channels: Channels, measure: Measure): Promise<Flow> {
  const candidates = new ConstantPass(channels, undefined).run();
  const values = [...channels.values.values()].filter(
    (v) =>
      isFollowed(v) &&
      v.base.some((base, a) => candidates.constant.subarray(base, base + v.value.shape[a]).includes(1)),
  );
  const levels = await measure(values);
  const found = new ConstantPass(channels, levels).run();
  return { ...found, needed: neededSlots(channels, found) };
}

type Found = Omit<Flow, 'needed'>;

/** @returns axes of a node's inputs that are summed over. */
export function* operandsOf({ mixes = [], contractions = [] }: RelatedNode['relation']): Generator<AxisRef> {
  for (const { input } of mixes) yield input;
  for (const { a, b } of contractions) yield* [a, b];
}

/** Whether only runs tell what a value holds: it is computed, or follows from constants and sizes that change from run to run. */
export function isFollowed({ runtime, value: { known, dtype } }: Slots): boolean {
  return runtime || (isFloat(dtype) && known?.stable !== 'all');
}

/** The forward pass; without levels it is optimistic: every constant may be zero. */
class ConstantPass {
  private readonly constant: Uint8Array;
  private readonly level: Float64Array;
  private readonly resting: Uint8Array;
  private readonly read = new Set<string>();
  /** Slots that a loop begins with, which do not stay what they are. */
  private readonly denied: Uint8Array;

  constructor(
    private readonly channels: Channels,
    private readonly levels: Levels | undefined,
  ) {
    this.constant = new Uint8Array(channels.slots);
    this.level = new Float64Array(channels.slots);
    this.resting = new Uint8Array(channels.slots);
    this.denied = new Uint8Array(channels.slots);
  }

  /** What a loop begins with counts as constant until its body turns out to make something else of it. */
  run(): Found {
    do {
      this.constant.fill(0);
      this.level.fill(0);
      this.resting.fill(0);
      this.read.clear();
      this.pass();
    } while (this.deny());
    return { constant: this.constant, level: this.level, resting: this.resting };
  }

  private deny(): boolean {
    let any = false;
    for (const { relation } of this.channels.nodes) {
      for (const { from, to } of relation.backs ?? []) {
        const [after, before] = [this.baseOf(from), this.baseOf(to)];
        for (let i = 0; i < to.value.shape[to.axis]; i++) {
          if (this.constant[before + i] === 0) continue;
          const stays = this.constant[after + i] === 1 && this.level[after + i] === this.level[before + i];
          if (stays) continue;
          this.denied[before + i] = 1;
          any = true;
        }
      }
    }
    return any;
  }

  private pass(): void {
    for (const { relation } of this.channels.nodes) for (const at of operandsOf(relation)) this.baseOf(at);
    for (const node of this.channels.nodes) {
      for (const output of node.channel.outputs) {
        const slots = this.channels.values.get(output.name);
        if (!slots || !isFollowed(slots)) continue;
        output.shape.forEach((size, axis) => {
          this.accept(slots, axis, this.follow(node, { value: output, axis }, size));
        });
      }
    }
  }

  /** @returns which channels of an output axis are constant by the node's relation. */
  private follow(node: RelatedNode, at: AxisRef, size: number): Uint8Array {
    const { relation, channel } = node;
    const links = (relation.links ?? []).filter((l) => same(l.to, at));
    const joins = (relation.links ?? []).filter((l) => same(l.from, at) && !isOutput(channel, l.to));
    const mixes = (relation.mixes ?? []).filter((m) => same(m.output, at));
    const all = new Uint8Array(size);
    // An empty sequence counts as one of zeros.
    if (channel.op === 'SequenceEmpty') return all.fill(1);
    if (links.length + joins.length + mixes.length === 0) return all;
    const related = new Set<string>();
    for (const { from } of links) related.add(from.value.name);
    for (const { to } of joins) related.add(to.value.name);
    for (const { input, weight, bias, aside = [] } of mixes) {
      for (const value of [input.value, weight, bias?.value, ...aside]) if (value) related.add(value.name);
    }
    // An operand that the rule does not relate to this axis may put anything into all of its channels, unless they come
    // from another output.
    const derived = links.some((l) => isOutput(channel, l.from));
    const either = relation.combine === 'either';
    if (derived || either || channel.inputs.every((x) => !x || related.has(x.name) || this.isHarmless(x, channel.op)))
      all.fill(1);
    const zero = new Uint8Array(size);
    for (const link of links) {
      if (link.constants === 'rest') this.rest(link);
      this.alongLink(link, all, relation.combine === 'product' ? zero : undefined);
    }
    for (const link of joins) this.alongJoin(link, all);
    if (either) this.holdEqual(links, all);
    for (const mix of mixes) this.alongMix(mix, all);
    for (const gain of relation.gains ?? []) {
      if (!same(gain.to, at)) continue;
      const from = this.baseOf(gain.from);
      for (let j = 0; j < size; j++) if (this.isZero(from + j)) zero[j] = 1;
    }
    for (let j = 0; j < size; j++) if (zero[j]) all[j] = 1;
    return all;
  }

  private rest({ from, to }: Link): void {
    const [a, b] = [this.baseOf(from), this.baseOf(to)];
    for (let j = 0; j < to.value.shape[to.axis]; j++) if (this.isZero(a + j)) this.resting[b + j] = 1;
  }

  private alongLink({ from, map, constants, zero: zeroAt }: Link, all: Uint8Array, zero?: Uint8Array): void {
    if (constants === 'any') return;
    const base = this.baseOf(from);
    for (let j = 0; j < all.length; j++) {
      const i = map ? map[j] : j;
      if (i < 0) continue;
      if (!this.passes(base + i, constants, zeroAt)) all[j] = 0;
      if (zero && constants !== 'never' && this.isZero(base + i, zeroAt)) zero[j] = 1;
    }
  }

  /** Whichever operand it is, the number must be the same. */
  private holdEqual([first, ...others]: readonly Link[], all: Uint8Array): void {
    const base = this.baseOf(first.from);
    for (const { from } of others) {
      const other = this.baseOf(from);
      for (let j = 0; j < all.length; j++) if (this.level[base + j] !== this.level[other + j]) all[j] = 0;
    }
  }

  /** One output channel stands for several of the input: they must hold the same constant. */
  private alongJoin({ to, map, constants }: Link, all: Uint8Array): void {
    if (constants === 'any') return;
    const base = this.baseOf(to);
    const first = new Float64Array(all.length).fill(Number.NaN);
    for (let i = 0; i < to.value.shape[to.axis]; i++) {
      const j = map ? map[i] : i;
      if (j < 0) continue;
      const level = this.level[base + i];
      if (Number.isNaN(first[j])) first[j] = level;
      if (!this.passes(base + i, constants) || (this.levels && first[j] !== level)) all[j] = 0;
    }
  }

  private alongMix(mix: Mix, all: Uint8Array): void {
    const input = this.baseOf(mix.input);
    const { gates, inputZero = 0 } = mix;
    const stays = Uint8Array.from({ length: mix.input.value.shape[mix.input.axis] }, (_, i) =>
      inputZero === 'runtime'
        ? this.resting[input + i]
        : Number(this.passes(input + i, mix.border ? 'zero' : 'same', inputZero)),
    );
    if (gates && gates.candidate === undefined) all.fill(0);
    layoutOf(mix).visitLive(
      (o) => {
        all[o] = 0;
        return true;
      },
      (o, gate) => all[o] === 1 && (!gates || gate === gates.candidate),
      (i) => stays[i] === 0,
    );
    if (!mix.bias) return;
    const bias = this.baseOf(mix.bias);
    if (mix.bias.value.shape[mix.bias.axis] !== all.length) return;
    for (let j = 0; j < all.length; j++) if (!this.passes(bias + j, 'same')) all[j] = 0;
  }

  private passes(slot: number, constants: Link['constants'], zero = 0): boolean {
    if (this.constant[slot] === 0 || constants === 'never' || constants === 'rest') return false;
    return constants === 'same' || this.isZero(slot, zero);
  }

  private isZero(slot: number, zero = 0): boolean {
    return this.constant[slot] === 1 && (this.levels === undefined || this.level[slot] === zero);
  }

  /** @returns the first slot of an axis, its state filled in where the contents are known beforehand. */
  private baseOf(at: AxisRef): number {
    const base = this.channels.slotOf(at);
    const key = `${at.axis} ${at.value.name}`;
    const { known } = at.value;
    if (known && !this.read.has(key)) {
      this.read.add(key);
      const data = known.stable === 'all' ? numbersOf(known.tensor) : undefined;
      if (data) {
        slices(data, at.value.shape, at.axis, (index, low, high) => {
          if (low !== high) return;
          this.constant[base + index] = 1;
          this.level[base + index] = low;
        });
      }
    }
    return base;
  }

  /** Whole numbers choose among elements (Gather), which makes nothing else of a constant slice. */
  private isHarmless(x: ChannelValue, op: string): boolean {
    if (op !== 'Pow' && (x.dtype === 'int64' || x.dtype === 'int32')) return true;
    return x.known !== undefined && (!isFloat(x.dtype) || x.known.stable === 'all');
  }

  private accept({ value, base }: Slots, axis: number, constant: Uint8Array): void {
    const magnitude = this.levels?.magnitude.get(value.name) ?? 0;
    for (let i = 0; i < constant.length; i++) {
      const slot = base[axis] + i;
      if (constant[i] === 0 || this.denied[slot] === 1) continue;
      if (this.levels && !value.isSequence) {
        const [low, high] = [this.levels.low[slot], this.levels.high[slot]];
        if (!(high >= low && high - low <= ROUNDING * magnitude)) continue;
        this.level[slot] = low === high ? low : (low + high) / 2;
      }
      this.constant[slot] = 1;
    }
  }
}

/** The backward pass: what the outputs of the model may change with. */
function neededSlots(channels: Channels, { constant, level }: Found): Uint8Array {
  const needed = new Uint8Array(channels.slots);
  const { graph } = channels.source.model;
  const all = (value: ChannelValue): void => {
    const slots = channels.values.get(value.name);
    slots?.base.forEach((base, a) => {
      needed.fill(1, base, base + value.shape[a]);
    });
  };
  const outside = new Set(graph.output.map((o) => o.name));
  for (const { index } of channels.nodes) for (const name of channels.captured(index)) outside.add(name);
  const used = new Set(outside);
  for (const { channel } of channels.nodes) for (const x of channel.inputs) if (x) used.add(x.name);
  for (const name of outside) {
    const slots = channels.values.get(name);
    if (slots) all(slots.value);
  }
  const isZero = (slot: number, zero = 0): boolean => constant[slot] === 1 && level[slot] === zero;

  do {
    for (const node of channels.nodes.toReversed()) visit(node);
  } while (spreadBack());
  return needed;

  /** What is needed of what an iteration begins with is needed of what the one before it ended with. */
  function spreadBack(): boolean {
    let changed = false;
    for (const { relation } of channels.nodes) {
      for (const { from, to } of relation.backs ?? []) {
        const [a, b] = [channels.slotOf(from), channels.slotOf(to)];
        for (let i = 0; i < to.value.shape[to.axis]; i++) {
          if (needed[b + i] === 0 || needed[a + i] === 1) continue;
          needed[a + i] = 1;
          changed = true;
        }
      }
    }
    return changed;
  }

  function visit({ channel, relation }: RelatedNode): void {
    const links = relation.links ?? [];
    const mixes = relation.mixes ?? [];
    const carried = relation.backs ?? [];
    const either = relation.combine === 'either';
    const contractions = relation.contractions ?? [];
    const derived = new Set(links.filter((l) => isOutput(channel, l.from)).map((l) => l.to.value.name));
    const outputs = channel.outputs.filter((o) => !derived.has(o.name) && (derived.size > 0 || used.has(o.name)));
    while (spreadWithin(channel, links, mixes));
    for (const value of new Set(channel.inputs)) {
      const slots = value && channels.values.get(value.name);
      if (!slots || !isFollowed(slots)) continue;
      value!.shape.forEach((size, axis) => {
        const at: AxisRef = { value: value!, axis };
        const base = slots.base[axis];
        if ((relation.free ?? []).some((f) => same(f, at))) return;
        if (either && ![...links, ...carried].some((l) => same(l.from, at) || same(l.to, at))) {
          needed.fill(1, base, base + size);
          return;
        }
        const met = contractions.flatMap(({ a, b, zeros: [p, q] = [0, 0] }) =>
          same(a, at) ? [{ ref: b, zero: q }] : same(b, at) ? [{ ref: a, zero: p }] : [],
        );
        for (const { ref, zero } of met) {
          const other = channels.slotOf(ref);
          for (let i = 0; i < size; i++) if (!isZero(other + i, zero)) needed[base + i] = 1;
        }
        for (const output of outputs) {
          const out = links.filter((l) => same(l.from, at) && l.to.value.name === output.name);
          const joins = links.filter((l) => same(l.to, at) && l.from.value.name === output.name);
          const into = mixes.filter((m) => same(m.input, at) && m.output.value.name === output.name);
          if (!either && out.length + joins.length + into.length + met.length === 0) needed.fill(1, base, base + size);
          for (const link of out) {
            const to = channels.slotOf(link.to);
            const silenced = silencers(link);
            for (let j = 0; j < link.to.value.shape[link.to.axis]; j++) {
              const i = link.map ? link.map[j] : j;
              if (i >= 0 && needed[to + j] && !silenced.some((s) => s(j))) needed[base + i] = 1;
            }
          }
          for (const link of joins) {
            const from = channels.slotOf(link.from);
            for (let i = 0; i < size; i++) {
              const j = link.map ? link.map[i] : i;
              if (j >= 0 && needed[from + j]) needed[base + i] = 1;
            }
          }
          for (const mix of into) {
            const to = channels.slotOf(mix.output);
            const { silent, visitLive } = layoutOf(mix);
            let open = 0;
            for (let i = 0; i < size; i++) if (!needed[base + i] && !silent?.ins[i]) open++;
            visitLive(
              (_, i) => {
                needed[base + i] = 1;
                return --open === 0;
              },
              (o) => open > 0 && needed[to + o] === 1,
              (i) => needed[base + i] === 0,
            );
          }
        }
      });

      /** Tells which output channels this operand cannot change, because another operand or a gain is zero there. */
      function silencers(link: Link): ((j: number) => boolean)[] {
        const gains = (relation.gains ?? []).filter(
          (g) => same(g.to, link.to) && g.from.value.name !== link.from.value.name,
        );
        const factors = relation.combine === 'product' ? links.filter((l) => l !== link && same(l.to, link.to)) : [];
        return [
          ...gains.map((g) => (j: number) => isZero(channels.slotOf(g.from) + j)),
          ...factors.map((f) => {
            const from = channels.slotOf(f.from);
            return (j: number) => {
              const i = f.map ? f.map[j] : j;
              return i >= 0 && f.constants !== 'never' && isZero(from + i, f.zero);
            };
          }),
        ];
      }
    }
  }

  /** Marks what a node's outputs need of each other. @returns whether there was anything new. */
  function spreadWithin(channel: RelatedNode['channel'], links: readonly Link[], mixes: readonly Mix[]): boolean {
    let changed = false;
    const mark = (slot: number): void => {
      changed ||= needed[slot] === 0;
      needed[slot] = 1;
    };
    for (const { from, to, map } of links) {
      if (!isOutput(channel, from) || !isOutput(channel, to)) continue;
      const [a, b] = [channels.slotOf(from), channels.slotOf(to)];
      for (let j = 0; j < to.value.shape[to.axis]; j++) {
        const i = map ? map[j] : j;
        if (i >= 0 && needed[b + j]) mark(a + i);
      }
    }
    for (const mix of mixes) {
      if (!isOutput(channel, mix.input)) continue;
      const [a, b] = [channels.slotOf(mix.input), channels.slotOf(mix.output)];
      layoutOf(mix).visitLive(
        (_, i) => mark(a + i),
        (o) => needed[b + o] === 1,
        (i) => needed[a + i] === 0,
      );
    }
    return changed;
  }
}

function isOutput({ outputs }: RelatedNode['channel'], { value }: AxisRef): boolean {
  return outputs.some((o) => o.name === value.name);
}

function same(a: AxisRef, b: AxisRef): boolean {
  return a.axis === b.axis && a.value.name === b.value.name;
}
