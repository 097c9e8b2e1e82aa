import { specOf } from '../ops/index.js';
import type { ChannelValue } from '../ops/spec.js';
import { sizeOf } from '../tensor/tensor.js';
import { type Channels, groupSizes, type PinReason, type RelatedNode } from './channels.js';
import { zeroPointsOf } from './zeroPoints.js';

/** The slice of a parameter that belongs to the units of a family: index `i` of `axis` is part of unit `map[i]` (−1: none). */
export interface UnitPart {
  readonly parameter: string;
  readonly axis: number;
  readonly map: Int32Array;
}

/** Removable units that are cut alike: the channels of one layer, or of several that are tied together. */
export interface UnitFamily {
  /** The nodes that produce the channels. */
  readonly name: string;
  readonly count: number;
  /** Unit numbers in {@link Channels}, ascending. */
  readonly units: Int32Array;
  /** What makes the units: weights, biases and norm parameters. No element belongs to two units. */
  readonly parts: readonly UnitPart[];
  /** Weights that read the units: they go with them. */
  readonly consumers: readonly UnitPart[];
  /** Per unit: elements of its parts. */
  readonly sizes: Float64Array;
  /** Per unit: multiply–accumulates that its removal saves, in a run of the probe's batch. */
  readonly macs: Float64Array;
  /** Per unit: weights that its removal saves, consumers included. */
  readonly parameters: Float64Array;
}

/** Channels of a weighted node that cannot be removed. */
export interface PinnedChannels {
  readonly node: string;
  readonly count: number;
  readonly of: number;
  readonly by: PinReason;
}

export interface UnitGroups {
  readonly families: readonly UnitFamily[];
  readonly pinned: readonly PinnedChannels[];
}

/** What an axis of a parameter holds: channels that it makes or that it reads. */
type Role = 'makes' | 'shifts' | 'reads';

/**
 * Lists the removable units by families, with the parameter slices that make and read them.
 * @param trained tells by name which parameters count as making a unit (default: weights, biases, norm parameters and
 * constants of elementwise operators).
 */
export function unitsOf(channels: Channels, trained?: (parameter: string) => boolean): UnitGroups {
  const roles = rolesOf(channels, trained);
  const made: UnitParts[] = Array.from({ length: channels.units }, () => new Map());
  const read: UnitParts[] = Array.from({ length: channels.units }, () => new Map());
  for (const [name, { value }] of channels.parameters) {
    const maker = makingAxis(roles, channels, value);
    value.shape.forEach((size, axis) => {
      const role = roles.get(`${axis} ${name}`);
      if (!role || (role !== 'reads' && axis !== maker)) return;
      const base = channels.slotOf({ value, axis });
      for (let i = 0; i < size; i++) {
        const unit = channels.unit[base + i];
        if (unit < 0) continue;
        const parts = (role === 'reads' ? read : made)[unit];
        const key = `${axis} ${name}`;
        const known = parts.get(key);
        if (known) known.push(i);
        else parts.set(key, [i]);
      }
    });
  }
  const macs = macsPerUnit(channels);
  const groups = new Map<string, number[]>();
  const computed = new Uint8Array(channels.units);
  for (const { value, base, runtime } of channels.values.values()) {
    if (!runtime) continue;
    value.shape.forEach((size, axis) => {
      for (let slot = base[axis]; slot < base[axis] + size; slot++)
        if (channels.unit[slot] >= 0) computed[channels.unit[slot]] = 1;
    });
  }
  made.forEach((parts, unit) => {
    // What no computed value has (a part of a parameter that nothing reads) is no channel.
    if (parts.size === 0 || computed[unit] === 0) return;
    const signature = [...parts.keys()].join('\n');
    const members = groups.get(signature);
    if (members) members.push(unit);
    else groups.set(signature, [unit]);
  });
  const names = namesOf(channels, roles);
  const taken = new Set<string>();
  const families = [...groups.values()].map((units): UnitFamily => {
    const parts = partsOf(channels, units, made);
    const consumers = partsOf(channels, units, read);
    const plain = nameOf(parts, names);
    let name = plain;
    for (let n = 2; taken.has(name); n++) name = `${plain} (${n})`;
    taken.add(name);
    const sizes = new Float64Array(units.length);
    for (const part of parts) addElements(channels, part, sizes);
    const parameters = sizes.slice();
    for (const part of consumers) addElements(channels, part, parameters);
    return {
      name,
      count: units.length,
      units: Int32Array.from(units),
      parts,
      consumers,
      sizes,
      macs: Float64Array.from(units, (u) => macs[u]),
      parameters,
    };
  });
  return { families, pinned: pinnedOf(channels) };
}

/** Indices per axis of a parameter, by `<axis> <name>`. */
type UnitParts = Map<string, number[]>;

function partsOf(channels: Channels, units: readonly number[], parts: readonly UnitParts[]): UnitPart[] {
  const maps = new Map<string, Int32Array>();
  units.forEach((unit, local) => {
    for (const [key, indices] of parts[unit]) {
      const { axis, parameter } = split(key);
      let map = maps.get(key);
      if (!map) {
        map = new Int32Array(channels.parameters.get(parameter)!.value.shape[axis]).fill(-1);
        maps.set(key, map);
      }
      for (const i of indices) map[i] = local;
    }
  });
  return [...maps].map(([key, map]) => ({ ...split(key), map }));
}

function split(key: string): { axis: number; parameter: string } {
  const at = key.indexOf(' ');
  return { axis: Number(key.slice(0, at)), parameter: key.slice(at + 1) };
}

function addElements(channels: Channels, { parameter, axis, map }: UnitPart, sums: Float64Array): void {
  const { shape } = channels.parameters.get(parameter)!.value;
  const each = sizeOf(shape) / shape[axis];
  for (const unit of map) if (unit >= 0) sums[unit] += each;
}

/** The axis along which a parameter makes units: groups must not overlap, so there is one, and one that can be cut. */
function makingAxis(roles: ReadonlyMap<string, Role>, channels: Channels, value: ChannelValue): number {
  const axes = value.shape.map((_, axis) => axis);
  const having = (role: Role) => axes.filter((axis) => roles.get(`${axis} ${value.name}`) === role);
  const [weight] = having('makes');
  if (weight !== undefined) return weight;
  const isCut = (axis: number) => {
    const base = channels.slotOf({ value, axis });
    return channels.unit.subarray(base, base + value.shape[axis]).some((unit) => unit >= 0);
  };
  const shifts = having('shifts');
  return shifts.find(isCut) ?? shifts[0] ?? -1;
}

/** @returns roles by `<axis> <name>`, for parameters that nodes read directly or through nodes on constants. */
function rolesOf(channels: Channels, trained?: (parameter: string) => boolean): Map<string, Role> {
  const roles = new Map<string, Role>();
  const zeroPoints = zeroPointsOf(channels);
  const set = (name: string, axis: number, role: Role): void => {
    const key = `${axis} ${name}`;
    if (!roles.has(key) || role === 'makes') roles.set(key, role);
  };
  const isMadeOf = ancestry(channels);
  const isDivisor = divisorsOf(channels);
  for (const { relation, channel, proto } of channels.nodes.toReversed()) {
    const trains = specOf(proto.opType, proto.domain, channel.opset)?.trains;
    for (const mix of relation.mixes ?? []) {
      const { groups, blocked, weight, inAxis, outAxis, bias } = mix;
      const depthwise = groups > 1 && groupSizes(mix).ins === 1;
      if (groups === 1 || blocked === 'in') set(weight.name, outAxis, 'makes');
      if (groups === 1 || (blocked === 'out' && !depthwise)) set(weight.name, inAxis, 'reads');
      if (depthwise && blocked === 'out') set(weight.name, inAxis, 'makes');
      if (bias) set(bias.value.name, bias.axis, 'shifts');
    }
    for (const { from, to } of relation.links ?? []) {
      if (from.value.known && to.value.known) {
        const operand = channel.inputs.findIndex((x) => x?.name === from.value.name);
        if (trains && !trains.includes(operand)) continue; // the scale of a quantised weight
        const role = roles.get(`${to.axis} ${to.value.name}`);
        // What is divided by its own norm (weight normalisation) would be no number at zero: its gain makes the unit.
        const ownNorm = channel.inputs.some(
          (x) => x && x.name !== from.value.name && isMadeOf(x.name, from.value.name),
        );
        if (role && (role === 'reads' || !(ownNorm || divides(proto.opType, operand))))
          set(from.value.name, from.axis, role);
        continue;
      }
      // A parameter may be linked to the output, or the output to a parameter in which it has several indices.
      const at = from.value.known ? from : to;
      if (!at.value.known) continue;
      const input = channel.inputs.findIndex((x) => x?.name === at.value.name);
      if (divides(proto.opType, input) || channel.outputs.every((o) => isDivisor(o.name))) continue;
      if (trained ? trained(at.value.name) : trains === undefined || trains.includes(input)) {
        if (isReal(at.value.dtype) || zeroPoints.has(at.value.name)) set(at.value.name, at.axis, 'shifts');
      }
    }
  }
  if (!trained) return roles;
  for (const key of roles.keys()) {
    if (roles.get(key) !== 'reads' && !trained(split(key).parameter)) roles.delete(key);
  }
  return roles;
}

/** Whether an operator divides by an operand: what is divided by makes no unit, for at zero nothing would be a number. */
function divides(op: string, operand: number): boolean {
  return (op === 'Div' && operand === 1) || op === 'Reciprocal';
}

/** @returns a test of whether nothing but divisors is computed from a value (the norm that a style gives to weights). */
function divisorsOf({ nodes, source }: Channels): (name: string) => boolean {
  const read = new Set<string>();
  const others = new Set(source.model.graph.output.map((o) => o.name));
  const isDivisor = (name: string): boolean => read.has(name) && !others.has(name);
  for (const { relation, channel } of nodes.toReversed()) {
    const into = (relation.mixes ?? []).length === 0 && channel.outputs.every((o) => isDivisor(o.name));
    channel.inputs.forEach((x, i) => {
      if (x) (into || divides(channel.op, i) ? read : others).add(x.name);
    });
  }
  return isDivisor;
}

/** @returns a test of whether a constant is computed from another one. */
function ancestry({ nodes }: Channels): (name: string, from: string) => boolean {
  const makers = new Map(nodes.flatMap(({ channel }) => channel.outputs.map((o) => [o.name, channel] as const)));
  return (name, from) => {
    const open = [name];
    const seen = new Set(open);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === from) return true;
      for (const x of makers.get(at)?.inputs ?? []) {
        if (!x?.known || seen.has(x.name)) continue;
        seen.add(x.name);
        open.push(x.name);
      }
    }
    return false;
  };
}

function isReal(dtype: string): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64' || dtype === 'bfloat16';
}

function macsPerUnit(channels: Channels): Float64Array {
  const saved = new Float64Array(channels.units);
  for (const { relation, channel, proto } of channels.nodes) {
    const spec = specOf(proto.opType, proto.domain, channel.opset);
    for (const mix of relation.mixes ?? []) {
      const total = (spec?.macs?.(channel) ?? 0) * (mix.share ?? 1) * (channel.runs ?? 1);
      for (const at of [mix.input, mix.output]) {
        const base = channels.slotOf(at);
        const size = at.value.shape[at.axis];
        for (let i = 0; i < size; i++) {
          const unit = channels.unit[base + i];
          if (unit >= 0) saved[unit] += total / size;
        }
      }
    }
  }
  return saved;
}

/** @returns the name of the node behind each weight: the first that computes with it, or with what constants make of it. */
function namesOf(channels: Channels, roles: ReadonlyMap<string, Role>): Map<string, string> {
  const names = new Map<string, string>();
  const madeOf = new Map<string, readonly string[]>();
  for (const { channel } of channels.nodes) {
    const roots = channel.inputs.flatMap((x) => {
      if (!x) return [];
      const makes = x.shape.some((_, axis) => roles.get(`${axis} ${x.name}`) === 'makes');
      return makes && channels.parameters.has(x.name) ? [x.name] : (madeOf.get(x.name) ?? []);
    });
    if (channel.outputs.every((y) => y.known)) for (const y of channel.outputs) madeOf.set(y.name, roots);
    else for (const root of roots) if (!names.has(root)) names.set(root, nodeName(channel));
  }
  return names;
}

function nodeName({ name, outputs }: RelatedNode['channel']): string {
  return name || outputs[0]?.name || '';
}

function nameOf(parts: readonly UnitPart[], names: ReadonlyMap<string, string>): string {
  const weights = parts.flatMap((p) => names.get(p.parameter) ?? []);
  const distinct = [...new Set(weights.length > 0 ? weights : parts.map((p) => p.parameter))];
  return distinct.slice(0, 2).join(' + ') + (distinct.length > 2 ? ` + ${distinct.length - 2} more` : '');
}

function pinnedOf(channels: Channels): PinnedChannels[] {
  const found: PinnedChannels[] = [];
  for (const { relation, channel } of channels.nodes) {
    for (const { input, output } of relation.mixes ?? []) {
      if (input.value.name === output.value.name) continue;
      const base = channels.slotOf(output);
      const of = output.value.shape[output.axis];
      const counts = new Map<PinReason, number>();
      for (let i = 0; i < of; i++) {
        const by = channels.pinOf(base + i);
        if (by) counts.set(by, (counts.get(by) ?? 0) + 1);
      }
      for (const [by, count] of counts) found.push({ node: nodeName(channel), count, of, by });
    }
  }
  return found;
}
