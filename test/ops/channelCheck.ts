import { makeGraph, makeModel, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import type { AxisRef, ChannelNode, ChannelRelation, CutNode, Link } from '../../src/ops/spec.js';
import type { Session } from '../../src/runtime/session.js';
import { sizeOf, stridesOf, type Tensor } from '../../src/tensor/tensor.js';
import { type ExampleNet, feedsOf, isReal, modelOf, numbers, run } from './exampleNet.js';

/** The node, what its operator says of it, and a session that takes all its real inputs. */
export interface Related {
  readonly net: ExampleNet;
  readonly node: ChannelNode;
  readonly relation: ChannelRelation;
  readonly results: Readonly<Record<string, Tensor>>;
  readonly session: Session;
}

/** @returns the relation in all the ways in which its grids can be settled. */
export function settled(relation: ChannelRelation): ChannelRelation[] {
  const grids = relation.grids ?? [];
  const most = Math.max(1, ...grids.map((g) => g.options.length));
  return Array.from({ length: most }, (_, k) => {
    const chosen = grids.map((g) => g.options[Math.min(k, g.options.length - 1)]);
    const others = grids.flatMap(({ options, why }) =>
      options.filter((o) => !chosen.includes(o)).map((o) => ({ at: o.axis, why })),
    );
    return {
      ...relation,
      links: [...(relation.links ?? []), ...chosen.map((o) => o.link)],
      pins: [...(relation.pins ?? []), ...others],
    };
  });
}

/** Whether all that an operand holds, but for zeros, goes into a range that every output depends on. */
function isRanged({ contractions }: ChannelRelation): boolean {
  return contractions?.some(({ a, b }) => a.value === b.value && a.axis === b.axis) ?? false;
}

/** @returns pairs (index of an input's axis, index of an output's axis) that a link unites, whichever way it is written. */
function pairsOf({ to, map }: Link): [number, number][] {
  const size = to.value.shape[to.axis];
  const pairs = Array.from({ length: size }, (_, j): [number, number] => [map ? map[j] : j, j]);
  return pairs.filter(([i]) => i >= 0);
}

/** @returns what is wrong with the links' form. */
export function malformed({ relation }: Related): string[] {
  return (relation.links ?? []).flatMap(({ from, to, map }) => {
    const [n, m] = [from.value.shape[from.axis], to.value.shape[to.axis]];
    const where = `${from.value.name}.${from.axis} → ${to.value.name}.${to.axis}`;
    if (n === undefined || m === undefined) return [`${where}: no such axis`];
    if (!map) return n === m ? [] : [`${where}: ${n} and ${m} channels without a map`];
    if (map.length !== m) return [`${where}: ${map.length} entries for ${m} channels`];
    return map.every((i) => i >= -1 && i < n) ? [] : [`${where}: an index out of range`];
  });
}

/** Changes one channel of one input at a time. @returns outputs that change although no link leads there. */
export async function leaks({ net, node, relation, results, session }: Related): Promise<string[]> {
  const found: string[] = [];
  const links = relation.links ?? [];
  // What comes into one channel of a recurrent node reaches all others in the next step.
  if (relation.mixes?.some((m) => node.outputs.includes(m.input.value))) return found;
  // So does what an operand's range is taken from.
  if (isRanged(relation)) return found;
  for (const input of node.inputs) {
    if (!input || !net.wanted.includes(input.name)) continue;
    for (let axis = 0; axis < input.shape.length; axis++) {
      const leading = links.filter(
        (l) => linkSides(l, node).source.value === input && linkSides(l, node).source.axis === axis,
      );
      if (leading.length === 0) continue;
      for (let i = 0; i < input.shape[axis]; i++) {
        const changed = changedSlice(net.values[input.name], axis, i, (v) => v * 0.9 + 0.05);
        const after = await session.run({ ...feedsOf(net), [input.name]: changed });
        for (const y of node.outputs) {
          const own = leading.filter((l) => linkSides(l, node).target.value === y);
          if (own.length === 0) continue;
          const axes = new Set(own.map((l) => linkSides(l, node).target.axis));
          for (const target of axes) {
            const allowed = new Set(
              own
                .filter((l) => linkSides(l, node).target.axis === target)
                .flatMap((l) =>
                  linkSides(l, node)
                    .pairs.filter(([a]) => a === i)
                    .map(([, b]) => b),
                ),
            );
            for (const j of differing(results[y.name], after[y.name], target)) {
              if (!allowed.has(j)) found.push(`${input.name}.${axis}[${i}] reaches ${y.name}.${target}[${j}]`);
            }
          }
        }
      }
    }
  }
  return found;
}

/** Fills what is linked to an output channel with constants. @returns output channels that should be constant and are not. */
export async function inconstant({ net, node, relation, session }: Related): Promise<string[]> {
  const found: string[] = [];
  const links = (relation.links ?? []).map((l) => ({ link: l, ...linkSides(l, node) }));
  for (const y of node.outputs) {
    for (let axis = 0; axis < y.shape.length; axis++) {
      const own = links.filter((l) => l.target.value === y && l.target.axis === axis);
      if (own.length === 0 || own.some((l) => l.link.constants === 'never')) continue;
      if (relation.mixes?.some((m) => m.output.value === y && m.output.axis === axis)) continue;
      if (own.some((l) => !net.wanted.includes(l.source.value.name))) continue;
      const zero = own.some((l) => l.link.constants === 'zero');
      if (zero && (net.example.range?.[0] ?? -1) > 0) continue;
      const alternatives = relation.combine === 'product' ? own.map((l) => [l]) : [own];
      for (const group of alternatives) {
        for (let j = 0; j < y.shape[axis]; j++) {
          const feeds = feedsOf(net);
          const level = zero || relation.combine === 'product' ? 0 : (net.example.range?.[1] ?? 0.75);
          for (const { source, pairs } of group) {
            for (const [i] of pairs.filter(([, b]) => b === j)) {
              feeds[source.value.name] = changedSlice(feeds[source.value.name], source.axis, i, () => level);
            }
          }
          const values = slice((await session.run(feeds))[y.name], axis, j);
          const spread = Math.max(...values) - Math.min(...values);
          if (!(spread <= 1e-6)) found.push(`${y.name}.${axis}[${j}] spreads over ${spread}`);
        }
      }
    }
  }
  return found;
}

/**
 * Cuts one class of linked channels after the other. @returns classes after whose removal the node gives anything else
 * than what it gave before on the channels that stay.
 */
export async function miscut(related: Related): Promise<string[]> {
  const { net, node, relation, results } = related;
  const found: string[] = [];
  for (const members of removable(node, relation)) {
    found.push(...(await differingWithout(related, members, net.values, results)));
  }
  return found;
}

/**
 * Kills one unit of a recurrent node after the other, by what makes it and by what reads it. @returns units that are not
 * zero then, or without which the node gives anything else.
 */
export async function undead(related: Related): Promise<string[]> {
  const { net, relation, session } = related;
  const mixes = relation.mixes?.filter((m) => m.gates) ?? [];
  const found: string[] = [];
  if (mixes.length === 0) return found;
  const { output } = mixes[0];
  const size = output.value.shape[output.axis];
  // Weights of whole numbers are no inputs of the session.
  const fed = mixes.every((m) => net.wanted.includes(m.weight.name));
  const given = (values: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> =>
    fed ? session.run(feedsOf(net, values)) : run(modelOf(net, { values }), feedsOf(net, values));
  for (const unit of unitedOutputs(relation, output)) {
    const members: Member[] = unit.map((index) => ({ name: output.value.name, axis: output.axis, index }));
    const made: Record<string, Tensor> = { ...net.values };
    const read: Record<string, Tensor> = { ...net.values };
    const zero = (values: Record<string, Tensor>, { name, axis, index }: Member): void => {
      if (values[name]) values[name] = changedSlice(values[name], axis, index, () => 0);
    };
    for (const { input, weight, inAxis, outAxis, gates } of mixes) {
      const rows = (gate: number): number[] => unit.map((index) => gate * size + index);
      const own = Array.from({ length: gates!.count }, (_, gate) => rows(gate)).flat();
      for (const index of own) members.push({ name: weight.name, axis: outAxis, index });
      if (gates!.candidate !== undefined)
        for (const index of rows(gates!.candidate)) zero(made, { name: weight.name, axis: outAxis, index });
      if (input.value !== output.value) continue;
      const columns = unit.map((index) => ({ name: weight.name, axis: inAxis, index }));
      members.push(...columns);
      for (const column of columns) zero(read, column);
      // The unit may go on reading itself.
      read[weight.name] = withRows(read[weight.name], net.values[weight.name], outAxis, own);
    }
    for (const link of relation.links ?? []) {
      for (const [i, j] of pairsOf(link)) {
        const forwards = link.to.value === output.value;
        if (!unit.includes(forwards ? j : i)) continue;
        const { value, axis } = forwards ? link.from : link.to;
        const member = { name: value.name, axis, index: forwards ? i : j };
        members.push(member);
        if (link.constants === 'zero') zero(made, member);
      }
    }
    if (mixes.every((m) => m.gates!.candidate !== undefined)) {
      const results = await given(made);
      for (const { name, axis, index } of members) {
        const alive = name in results && slice(results[name], axis, index).some((v) => v !== 0);
        if (alive) found.push(`${name}.${axis}[${index}] is not zero`);
      }
      found.push(...(await differingWithout(related, members, made, results)));
    }
    if (mixes.every((m) => m.input.value !== output.value)) continue;
    found.push(...(await differingWithout(related, members, read, await given(read))));
  }
  return found;
}

/** @returns indices of an output axis that links from one channel unite (whole heads), each list a unit. */
function unitedOutputs({ links = [] }: ChannelRelation, output: AxisRef): number[][] {
  const root = Array.from({ length: output.value.shape[output.axis] }, (_, i) => i);
  const find = (i: number): number => (root[i] === i ? i : find(root[i]));
  const first = new Map<string, number>();
  for (const link of links.filter((l) => l.to.value === output.value && l.to.axis === output.axis)) {
    for (const [i, j] of pairsOf(link)) {
      const key = `${link.from.value.name} ${link.from.axis} ${i}`;
      const known = first.get(key);
      if (known === undefined) first.set(key, j);
      else root[find(j)] = find(known);
    }
  }
  const units = new Map<number, number[]>();
  root.forEach((_, i) => units.set(find(i), [...(units.get(find(i)) ?? []), i]));
  return [...units.values()];
}

/** @returns how the node without some channels differs from what it gave before on the others. */
async function differingWithout(
  { net, node, relation }: Related,
  members: readonly Member[],
  values: Readonly<Record<string, Tensor>>,
  results: Readonly<Record<string, Tensor>>,
): Promise<string[]> {
  const found: string[] = [];
  const kept = ({ value, axis }: AxisRef): Int32Array | undefined => {
    const gone = members.filter((m) => m.name === value.name && m.axis === axis).map((m) => m.index);
    if (gone.length === 0) return undefined;
    const all = Array.from({ length: value.shape[axis] }, (_, i) => i);
    return Int32Array.from(all.filter((i) => !gone.includes(i)));
  };
  const what = members.map((m) => `${m.name}.${m.axis}[${m.index}]`).join(' ');
  const cutValues: Record<string, Tensor> = {};
  for (const x of node.inputs) if (x) cutValues[x.name] = cutTensor(values[x.name], (axis) => kept({ value: x, axis }));
  const { nodes, constants } = cutOf(net, node, relation, kept, cutValues);
  const initializers = { ...constants, ...only(cutValues, (n) => net.parameters.has(n)) };
  const inputs = only(cutValues, (n) => !net.parameters.has(n));
  const model = makeModel(
    makeGraph({
      node: nodes,
      input: Object.entries(inputs).map(([n, t]) => makeValueInfo(n, t.dtype, t.dims)),
      initializer: Object.entries(initializers).map(([n, t]) => makeTensor(n, t)),
      output: net.outputs.map((name) => ({ name, metadataProps: [] })),
    }),
    net.opset,
    net.spec.domain ? [net.spec.domain] : [],
  );
  try {
    const after = await run(model, inputs);
    for (const y of node.outputs) {
      const expected = cutTensor(results[y.name], (axis) => kept({ value: y, axis }));
      const worst = difference(expected, after[y.name]);
      if (!(worst <= 1e-6)) found.push(`without ${what}: ${y.name} [${after[y.name].dims}] differs by ${worst}`);
    }
  } catch (error) {
    found.push(`without ${what}: ${error instanceof Error ? error.message : error}`);
  }
  return found;
}

interface Member {
  readonly name: string;
  readonly axis: number;
  readonly index: number;
}

/** @returns classes of channels that links unite, of those that nothing pins and that leave something of every axis. */
function removable(node: ChannelNode, relation: ChannelRelation): Member[][] {
  if (relation.mixes?.length || relation.quotas?.length || isRanged(relation)) return [];
  const parent = new Map<string, string>();
  const members = new Map<string, Member>();
  const find = (k: string): string => (parent.get(k) === k ? k : find(parent.get(k)!));
  const key = ({ value, axis }: AxisRef, index: number): string => {
    const k = `${value.name} ${axis} ${index}`;
    if (!parent.has(k)) {
      parent.set(k, k);
      members.set(k, { name: value.name, axis, index });
    }
    return k;
  };
  for (const link of relation.links ?? []) {
    for (const side of [link.from, link.to]) {
      for (let i = 0; i < side.value.shape[side.axis]; i++) key(side, i);
    }
    for (const [i, j] of pairsOf(link)) parent.set(find(key(link.from, i)), find(key(link.to, j)));
  }
  const pinned = new Set<string>();
  for (const { at } of relation.pins ?? []) {
    for (let i = 0; i < at.value.shape[at.axis]; i++) pinned.add(find(key(at, i)));
  }
  const values = new Map([...node.inputs, ...node.outputs].flatMap((v) => (v ? [[v.name, v] as const] : [])));
  if (node.op === 'Shape') for (const at of relation.free ?? []) key(at, 0);
  const classes = new Map<string, Member[]>();
  for (const [k, m] of members) classes.set(find(k), [...(classes.get(find(k)) ?? []), m]);
  return [...classes].flatMap(([root, list]) => {
    const leaves = list.every((m) => {
      const size = values.get(m.name)!.shape[m.axis];
      return list.filter((o) => o.name === m.name && o.axis === m.axis).length < size;
    });
    return pinned.has(root) || !leaves ? [] : [list];
  });
}

/** Lets the operator patch its node, as the cut of a whole graph would. */
function cutOf(
  net: ExampleNet,
  node: ChannelNode,
  relation: ChannelRelation,
  kept: CutNode['kept'],
  cutValues: Record<string, Tensor>,
): { nodes: NodeProto[]; constants: Record<string, Tensor> } {
  const proto: NodeProto = {
    ...net.node,
    input: [...net.node.input],
    output: [...net.node.output],
    attribute: [...net.node.attribute],
  };
  const constants: Record<string, Tensor> = {};
  const before: NodeProto[] = [];
  const after: NodeProto[] = [];
  const take = (list: readonly { name: string; tensor: Tensor }[] = []) => {
    for (const { name, tensor } of list) constants[name] = tensor;
  };
  relation.patch?.({
    node: proto,
    opset: net.opset,
    inputs: node.inputs,
    outputs: node.outputs,
    kept,
    parameter: (value) => cutValues[value.name],
    setParameter: (value, tensor) => {
      cutValues[value.name] = tensor;
    },
    setInput: (index, tensor) => {
      constants[`new${index}`] = tensor;
      while (proto.input.length <= index) proto.input.push('');
      proto.input[index] = `new${index}`;
    },
    insertBefore: (index, make, list) => {
      take(list);
      const to = `before${index}/${before.length}`;
      before.push(make(proto.input[index], to));
      proto.input[index] = to;
    },
    insertAfter: (index, make, list) => {
      take(list);
      const to = proto.output[index];
      proto.output[index] = `${to}/inner`;
      after.unshift(make(`${to}/inner`, to));
    },
  });
  return { nodes: [...before, proto, ...after], constants };
}

/** A link as data flows: from an input (source) to an output (target). */
function linkSides(link: Link, node: ChannelNode): { source: AxisRef; target: AxisRef; pairs: [number, number][] } {
  const forwards = node.outputs.includes(link.to.value);
  if (forwards) return { source: link.from, target: link.to, pairs: pairsOf(link) };
  return { source: link.to, target: link.from, pairs: pairsOf(link).map(([i, j]) => [j, i]) };
}

/** Calls `visit` with every element's place and its index along an axis. */
function along(dims: readonly number[], axis: number, visit: (element: number, index: number) => void): void {
  const stride = stridesOf(dims)[axis];
  for (let e = 0; e < sizeOf(dims); e++) visit(e, Math.floor(e / stride) % dims[axis]);
}

function changedSlice(x: Tensor, axis: number, index: number, change: (v: number) => number): Tensor {
  if (!isReal(x.dtype) && x.dtype !== 'int8') return x;
  const data = (x.data as Float32Array).slice();
  along(x.dims, axis, (e, i) => {
    if (i === index) data[e] = change(data[e]);
  });
  return { ...x, data };
}

/** @returns a tensor with some indices of an axis as another one has them. */
function withRows(x: Tensor, from: Tensor, axis: number, indices: readonly number[]): Tensor {
  const data = (x.data as Float32Array).slice();
  along(x.dims, axis, (e, i) => {
    if (indices.includes(i)) data[e] = (from.data as Float32Array)[e];
  });
  return { ...x, data };
}

function slice(x: Tensor, axis: number, index: number): number[] {
  const all = numbers(x);
  const out: number[] = [];
  along(x.dims, axis, (e, i) => {
    if (i === index) out.push(all[e]);
  });
  return out;
}

function differing(a: Tensor, b: Tensor, axis: number): Set<number> {
  const [x, y] = [numbers(a), numbers(b)];
  const found = new Set<number>();
  along(a.dims, axis, (e, i) => {
    if (Math.abs(x[e] - y[e]) > 1e-7) found.add(i);
  });
  return found;
}

function cutTensor(x: Tensor, keptOf: (axis: number) => Int32Array | undefined): Tensor {
  let cut = x;
  for (let axis = 0; axis < x.dims.length; axis++) {
    const kept = keptOf(axis);
    if (!kept || Array.isArray(cut.data)) continue;
    const { data, dims, dtype } = cut;
    const mask = new Set(kept);
    const stay: number[] = [];
    along(dims, axis, (e, i) => {
      if (mask.has(i)) stay.push(e);
    });
    const next = data.slice(0, stay.length);
    stay.forEach((e, k) => {
      next[k] = data[e];
    });
    cut = { dtype, dims: dims.map((d, a) => (a === axis ? kept.length : d)), data: next };
  }
  return cut;
}

function difference(a: Tensor, b: Tensor): number {
  if (a.dims.join() !== b.dims.join()) return Number.POSITIVE_INFINITY;
  const [x, y] = [numbers(a), numbers(b)];
  return x.reduce((worst, v, i) => Math.max(worst, Object.is(v, y[i]) ? 0 : Math.abs(v - y[i])), 0);
}

function only(values: Readonly<Record<string, Tensor>>, which: (name: string) => boolean): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => which(name)));
}
