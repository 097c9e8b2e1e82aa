import { toNumber } from '../onnx/attributes.js';
import { removeUnused } from '../onnx/graph.js';
import type { GraphProto, ModelProto, ValueInfoProto } from '../onnx/proto.js';
import type { AxisRef, ChannelValue, Mix } from '../ops/spec.js';
import { floatTypes, fromFloat32 } from '../tensor/half.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { Channels } from './channels.js';
import type { Flow } from './constants.js';
import { copyOf, gather, numbersOf } from './contents.js';
import { copyGraph } from '../onnx/copy.js';
import { Contents } from './cutContents.js';
import { CutView } from './cutNode.js';
import { layoutOf, weightOf } from './mixing.js';
import { carriedBy, type Selection } from './select.js';

/**
 * Takes the selected units out of the user's graph, in its own opset: parameters lose their slices, constants that the
 * lost channels carried go into biases or into the weights of the channel that stays for them, and operators rewrite
 * what names a channel count. Names, metadata, unknown fields and free dimensions stay.
 *
 * @returns a new model; the old one is not touched, and shares with the new one what is equal in both.
 */
export function cutUnits(channels: Channels, flow: Flow, selection: Selection): ModelProto {
  const { model } = channels.source;
  const graph = copyGraph(model.graph);
  const kept = keptIndices(channels, selection);
  const contents = new Contents(channels, graph);

  const biases = new Map<Mix, Float64Array>();
  for (const { index, relation } of channels.nodes) {
    for (const mix of relation.mixes ?? []) {
      const carried = carriedBy(channels, flow, selection.removed, mix);
      const keeper = selection.keepers.get(mix);
      if (carried.length > 0 && keeper !== undefined)
        contents.set(index, mix.weight, merged(contents, index, mix, carried, keeper, flow, channels));
      else if (carried.length > 0) biases.set(mix, folded(mix, carried));
    }
  }
  for (const { relation } of channels.nodes) {
    for (const mix of relation.mixes ?? []) {
      const stored = channels.stored.get(mix);
      const blockwise = stored && gatherBlocks(channels, selection, mix, contents.get(stored.node, stored.value));
      if (blockwise) contents.set(stored.node, stored.value, blockwise);
    }
  }
  contents.cut((value) => value.shape.map((_, axis) => kept({ value, axis })));

  const view = new CutView(channels, graph, contents, kept);
  for (const { index, relation, channel } of channels.nodes) {
    const node = view.at(index);
    for (const mix of relation.mixes ?? []) {
      const delta = biases.get(mix);
      if (!delta) continue;
      const rows = kept(mix.output);
      mix.addBias!(node, rows ? Float64Array.from(rows, (o) => delta[o]) : delta);
    }
    const touched = [...channel.inputs, ...channel.outputs].some((value) =>
      value?.shape.some((_, axis) => kept({ value, axis }) !== undefined),
    );
    if (touched) relation.patch?.(node);
  }
  contents.write();
  view.finish();
  correctShapes(graph, channels, kept);
  removeUnused(graph);
  const cut = { ...model, graph };
  return channels.source.restored?.(cut) ?? cut;
}

type Kept = (at: AxisRef) => Int32Array | undefined;

function keptIndices(channels: Channels, { removed }: Selection): Kept {
  const known = new Map<string, Int32Array | undefined>();
  return (at) => {
    const key = `${at.axis} ${at.value.name}`;
    if (known.has(key)) return known.get(key);
    const base = channels.slotOf(at);
    const size = at.value.shape[at.axis];
    const indices: number[] = [];
    for (let i = 0; i < size; i++) {
      const unit = channels.unit[base + i];
      if (unit < 0 || !removed[unit]) indices.push(i);
    }
    const found = indices.length === size ? undefined : Int32Array.from(indices);
    known.set(key, found);
    return found;
  };
}

/** @returns what the carried constants add to every output: scale · Σ_i k_i Σ W[o, i]. */
function folded(mix: Mix, carried: readonly { input: number; level: number }[]): Float64Array {
  const delta = new Float64Array(mix.output.value.shape[mix.output.axis]);
  const level = new Map(carried.map((c) => [c.input, c.level]));
  const data = weightOf(mix);
  const { taps, visit } = layoutOf(mix);
  visit((o, i, at) => {
    const k = level.get(i);
    if (k === undefined) return;
    let sum = 0;
    for (let t = 0; t < taps.length; t++) sum += data[at + taps[t]];
    delta[o] += mix.scale * k * sum;
  });
  return delta;
}

/** @returns the weight with W[·, keeper] + Σ_i (k_i / k_keeper) · W[·, i] in the place of W[·, keeper]. */
function merged(
  contents: Contents,
  index: number,
  mix: Mix,
  carried: readonly { input: number; level: number }[],
  keeper: number,
  flow: Flow,
  channels: Channels,
): Tensor {
  const old = contents.get(index, mix.weight)!;
  const numbers = numbersOf(old);
  const dtype = floatTypes.find((t) => t === old.dtype);
  if (!numbers || !dtype) throw new TypeError(`weights of type ${old.dtype} cannot be merged`);
  const sums = Float64Array.from(numbers);
  const unit = flow.level[channels.slotOf(mix.input) + keeper];
  const share = new Map(carried.map((c) => [c.input, c.level / unit]));
  const { taps, visit } = layoutOf(mix);
  const target = new Map<number, number>();
  visit((o, i, at) => {
    if (i === keeper) target.set(o, at);
  });
  visit((o, i, at) => {
    const factor = share.get(i);
    if (factor === undefined || i === keeper) return;
    for (let t = 0; t < taps.length; t++) sums[target.get(o)! + taps[t]] += factor * numbers[at + taps[t]];
  });
  if (dtype === 'float64') return { ...copyOf(old), data: sums };
  return dtype === 'float32'
    ? float32(old.dims, Float32Array.from(sums))
    : fromFloat32(old.dims, Float32Array.from(sums), dtype);
}

/** Where an axis of a grouped weight means other channels in every group: @returns the weight with each block gathered. */
function gatherBlocks(
  channels: Channels,
  { removed }: Selection,
  mix: Mix,
  weight: Tensor | undefined,
): Tensor | undefined {
  const { groups, blocked, inAxis, outAxis, input, output } = mix;
  const ins = input.value.shape[input.axis] / groups;
  if (groups === 1 || ins === 1 || !weight) return undefined;
  // Conv: rows are outputs, columns inputs within the group; ConvTranspose: the reverse.
  const [columns, columnAxis, rowAxis] = blocked === 'in' ? [input, inAxis, outAxis] : [output, outAxis, inAxis];
  const base = channels.slotOf(columns);
  const width = columns.value.shape[columns.axis] / groups;
  const rows = weight.dims[rowAxis] / groups;
  const parts: Tensor[] = [];
  let any = false;
  for (let g = 0; g < groups; g++) {
    const keep: number[] = [];
    for (let i = 0; i < width; i++) {
      const unit = channels.unit[base + g * width + i];
      if (unit < 0 || !removed[unit]) keep.push(i);
    }
    any ||= keep.length < width;
    const block = gather(
      weight,
      rowAxis,
      Int32Array.from({ length: rows }, (_, r) => g * rows + r),
    );
    parts.push(gather(block, columnAxis, keep));
  }
  return any ? stack(parts, weight, rowAxis) : undefined;
}

/** Blocks of rows one after the other; rows are the outermost axis of Conv's and ConvTranspose's weights. */
function stack(parts: readonly Tensor[], like: Tensor, rowAxis: number): Tensor {
  if (rowAxis !== 0) throw new Error(`rows of a grouped weight lie along axis ${rowAxis}`);
  const dims = parts[0].dims.map((d, a) => (a === 0 ? like.dims[0] : d));
  const bytes = parts.map(({ data }) => {
    if (Array.isArray(data)) throw new TypeError('a weight of strings');
    return data;
  });
  const size = bytes.reduce((n, b) => n + b.length, 0);
  const data = new (bytes[0].constructor as new (size: number) => Float32Array)(size);
  let at = 0;
  for (const block of bytes) {
    data.set(block as Float32Array, at);
    at += block.length;
  }
  return { dtype: like.dtype, dims, data };
}

/** What the file says of the elements of a sequence that are cut is left out. */
function withElements(info: ValueInfoProto, value: ChannelValue, kept: Kept): ValueInfoProto {
  const elements = info.type?.sequenceType?.elemType?.tensorType;
  if (!elements?.shape || value.shape.every((_, axis) => kept({ value, axis }) === undefined)) return info;
  const elemType = { ...info.type!.sequenceType!.elemType, tensorType: { ...elements, shape: undefined } };
  return { ...info, type: { ...info.type, sequenceType: { ...info.type!.sequenceType, elemType } } };
}

/** Corrects what the file says of the shapes of cut values. */
function correctShapes(graph: GraphProto, channels: Channels, kept: Kept): void {
  const corrected = (info: ValueInfoProto): ValueInfoProto => {
    const value = channels.values.get(info.name)?.value;
    if (value?.isSequence) return withElements(info, value, kept);
    const dim = info.type?.tensorType?.shape?.dim;
    if (!value || !dim || dim.length !== value.shape.length) return info;
    const sizes = value.shape.map((_, axis) => kept({ value, axis })?.length);
    if (sizes.every((s) => s === undefined)) return info;
    const dims = dim.map((d, axis) => {
      const size = sizes[axis];
      return size === undefined || d.dimValue === undefined || toNumber(d.dimValue) === 0
        ? d
        : { ...d, dimValue: size };
    });
    const tensorType = { ...info.type!.tensorType!, shape: { ...info.type!.tensorType!.shape!, dim: dims } };
    return { ...info, type: { ...info.type, tensorType } };
  };
  graph.valueInfo = graph.valueInfo.map(corrected);
  graph.input = graph.input.map(corrected);
}
