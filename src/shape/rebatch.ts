import { toNumber } from '../onnx/attributes.js';
import { makeTensor } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import { Random } from '../tensor/random.js';
import { sizeOf, stridesOf, type Tensor } from '../tensor/tensor.js';
import type { AnalysedInput, AnalyseOptions, ValueFacts } from './analyse.js';
import { openFed } from './fed.js';
import { draw, emptyData, type FreeInput, makeFeeds, type Sizes } from './feeds.js';
import { trackReshapes } from './track.js';

/** How a model takes other batches than the one it was exported with. */
export type Rebatching =
  | { readonly kind: 'free' }
  /** Its literal batch can be rewritten: rows were proved not to mix. */
  | ({ readonly kind: 'rebatched' } & BatchPlan)
  /** Only batches of this size run: larger ones are trained by accumulating gradients. */
  | { readonly kind: 'fixed'; readonly size: number; readonly why: string };

export interface BatchPlan {
  readonly literal: number;
  /** The inputs with the axis that holds the batch. */
  readonly inputs: readonly FreeInput[];
  readonly edits: readonly Edit[];
}

/** One constant input of one node that holds the literal batch. */
export interface Edit {
  /** Index of the node in the graph's list. */
  readonly node: number;
  readonly input: number;
  readonly tensor: Tensor;
  /** `size`: element `at` is a multiple of the batch. `rows`: the tensor has one row per sample along axis `at`. */
  readonly kind: 'size' | 'rows';
  readonly at: number;
}

interface Seen {
  readonly batches: readonly [number, number];
  readonly sizes: Sizes;
}

/** Rows of the trial batch, in multiples of the literal batch. */
const ROWS = 4;

/**
 * Finds out whether a model with a literal batch (an input [1, 1, 28, 28], a Reshape to [1, 256]) can run others: its
 * literals are rewritten in a copy, which must give for a batch what the original gives sample by sample, and when one
 * row changes, all other rows must keep their bits.
 */
export async function rebatching(
  file: OnnxFile,
  inputs: readonly AnalysedInput[],
  seen: Seen,
  values: ReadonlyMap<string, ValueFacts>,
  options: AnalyseOptions,
): Promise<Rebatching> {
  if (seen.batches[0] !== seen.batches[1]) return { kind: 'free' };
  const literal = inputs.find((i) => i.shape.length > 0)?.shape[0];
  if (literal === undefined) return { kind: 'fixed', size: 1, why: 'no input has an axis that could be the batch' };
  if (options.rebatch === false) return { kind: 'fixed', size: literal, why: 'other batches were not tried' };
  const wide: FreeInput[] = inputs.map(({ shape, ...input }) => ({
    ...input,
    batchAxis: input.batchAxis ?? (shape.length > 1 && shape[0] === literal ? 0 : undefined),
  }));
  const edits = literalsOf(file.model.graph, values, literal);
  const plan: BatchPlan = { literal, inputs: wide, edits };
  const why = await mixes(file, plan, seen.sizes, options);
  if (why === undefined) return { kind: 'rebatched', ...plan };
  const tracked = await trackReshapes(file, plan, values, seen.sizes, ROWS * literal);
  const second: BatchPlan = { ...plan, edits: tracked ?? edits };
  if (tracked && (await mixes(file, second, seen.sizes, options)) === undefined)
    return { kind: 'rebatched', ...second };
  return { kind: 'fixed', size: literal, why };
}

/** @returns a copy of the model whose literal batch is another one. Weights are shared with the original. */
export function atBatch(model: ModelProto, plan: BatchPlan, batch: number): ModelProto {
  const { graph } = model;
  const axes = new Map(plan.inputs.map((i) => [i.name, i.batchAxis]));
  const node = [...graph.node];
  const initializer = [...graph.initializer];
  for (const edit of plan.edits) {
    const name = `${node[edit.node].output[0]}/batch of ${edit.input}`;
    initializer.push(makeTensor(name, applied(edit, plan.literal, batch)));
    const input = node[edit.node].input.map((old, i) => (i === edit.input ? name : old));
    node[edit.node] = { ...node[edit.node], input };
  }
  const input = graph.input.map((info) => withBatch(info, axes.get(info.name), batch));
  const output = graph.output.map((o) => ({ name: o.name, metadataProps: [] }));
  return { ...model, graph: { ...graph, node, initializer, input, output, valueInfo: [] } };
}

function withBatch(info: ValueInfoProto, axis: number | undefined, batch: number): ValueInfoProto {
  const tensorType = info.type?.tensorType;
  if (axis === undefined || !tensorType?.shape) return info;
  const dim = tensorType.shape.dim.map((d, a) => (a === axis ? { dimValue: batch } : d));
  return { ...info, type: { ...info.type, tensorType: { ...tensorType, shape: { dim } } } };
}

function applied(edit: Edit, literal: number, batch: number): Tensor {
  const { tensor, at } = edit;
  if (edit.kind === 'size') {
    const data = BigInt64Array.from(tensor.data as BigInt64Array);
    data[at] = (data[at] / BigInt(literal)) * BigInt(batch);
    return { ...tensor, data };
  }
  const dims = tensor.dims.map((d, a) => (a === at ? batch : d));
  const block = stridesOf(tensor.dims)[at];
  const data = emptyData(tensor.dtype, sizeOf(dims)) as Float32Array;
  const from = tensor.data as Float32Array;
  const outer = sizeOf(dims.slice(0, at));
  for (let o = 0; o < outer; o++) {
    for (let row = 0; row < batch; row++) {
      const start = (o * tensor.dims[at] + (row % literal)) * block;
      data.set(from.subarray(start, start + block), (o * batch + row) * block);
    }
  }
  return { ...tensor, dims, data };
}

/** @returns the constant inputs of nodes that hold the batch, were it to stand first in every shape. */
function literalsOf(graph: GraphProto, values: ReadonlyMap<string, ValueFacts>, literal: number): Edit[] {
  const edits: Edit[] = [];
  graph.node.forEach((node, index) => {
    for (const { input, kind, at } of placesIn(node, values, literal)) {
      const tensor = values.get(node.input[input])?.known?.tensor;
      if (tensor) edits.push({ node: index, input, tensor, kind, at });
    }
  });
  return edits;
}

function placesIn(
  node: NodeProto,
  values: ReadonlyMap<string, ValueFacts>,
  literal: number,
): Pick<Edit, 'input' | 'kind' | 'at'>[] {
  const fact = (i: number) => values.get(node.input[i] ?? '');
  const element = (i: number): number => Number(fact(i)?.known?.tensor.data[0] ?? 0);
  const computed = (i: number) => fact(i) !== undefined && !fact(i)?.known;
  switch (node.domain ? '' : node.opType) {
    case 'Reshape':
      // −1 and 0 follow the input by themselves.
      return computed(0) && element(1) > 0 && element(1) % literal === 0 ? [{ input: 1, kind: 'size', at: 0 }] : [];
    case 'Expand':
      return computed(0) && literal > 1 && element(1) === literal ? [{ input: 1, kind: 'size', at: 0 }] : [];
    case 'Resize':
      return computed(0) && element(3) === literal ? [{ input: 3, kind: 'size', at: 0 }] : [];
    case 'LSTM':
    case 'GRU':
    case 'RNN':
      return [5, 6].flatMap((i) =>
        fact(i)?.known && fact(i)?.shapes[0].length === 3 ? [{ input: i, kind: 'rows' as const, at: 1 }] : [],
      );
    case 'Concat': {
      const axis = toNumber(node.attribute.find((a) => a.name === 'axis')?.i ?? 0);
      const mixed = node.input.some((_, i) => computed(i));
      if (axis === 0 || !mixed) return [];
      return node.input.flatMap((_, i) =>
        fact(i)?.known && fact(i)?.shapes[0][0] === literal ? [{ input: i, kind: 'rows' as const, at: 0 }] : [],
      );
    }
    default:
      return [];
  }
}

/** @returns why the rewritten copy cannot stand for the original, or undefined when it can. */
async function mixes(
  file: OnnxFile,
  plan: BatchPlan,
  sizes: Sizes,
  options: AnalyseOptions,
): Promise<string | undefined> {
  const { literal, inputs } = plan;
  const batch = ROWS * literal;
  const seed = (options.seed ?? 0) + 1;
  const whole = makeFeeds(inputs, batch, sizes, seed, options.samples);
  const parts = Array.from({ length: ROWS }, (_, r) => rowsOf(whole, inputs, r * literal, literal));
  const single = await openFed(file);
  const singles: Record<string, Tensor>[] = [];
  try {
    for (const part of parts) singles.push(await single.run(part));
  } finally {
    await single.close();
  }
  let together: Record<string, Tensor>;
  let changed: Record<string, Tensor>;
  try {
    const many = await openFed({ ...file, model: atBatch(file.model, plan, batch) }, single);
    try {
      together = await many.run(whole);
      changed = await many.run(otherRow(whole, inputs, seed));
    } finally {
      await many.close();
    }
  } catch (error) {
    return `the model with its batch rewritten does not run: ${error instanceof Error ? error.message : error}`;
  }
  for (const [name, tensor] of Object.entries(together)) {
    const [first] = singles;
    if (tensor.dims[0] !== batch || first[name].dims[0] !== literal) return `output '${name}' has no row per sample`;
    const rows = singles.map((s) => s[name]);
    if (!agrees(tensor, rows)) return `output '${name}' of a batch differs from that of its samples one by one`;
    if (!keepsOthers(tensor, changed[name], batch)) return `output '${name}' mixes the samples of a batch`;
  }
  return undefined;
}

/** @returns `count` rows of each input that has a batch axis; other inputs whole. */
function rowsOf(
  feeds: Readonly<Record<string, Tensor>>,
  inputs: readonly FreeInput[],
  from: number,
  count: number,
): Record<string, Tensor> {
  const part: Record<string, Tensor> = {};
  for (const { name, batchAxis } of inputs) {
    const tensor = feeds[name];
    part[name] = batchAxis === undefined ? tensor : sliceRows(tensor, batchAxis, from, count);
  }
  return part;
}

function sliceRows(tensor: Tensor, axis: number, from: number, count: number): Tensor {
  const dims = tensor.dims.map((d, a) => (a === axis ? count : d));
  const block = stridesOf(tensor.dims)[axis];
  const outer = sizeOf(dims.slice(0, axis));
  const source = tensor.data as Float32Array;
  const data = emptyData(tensor.dtype, sizeOf(dims)) as Float32Array;
  for (let o = 0; o < outer; o++) {
    const start = (o * tensor.dims[axis] + from) * block;
    data.set(source.subarray(start, start + count * block), o * count * block);
  }
  return { dtype: tensor.dtype, dims, data };
}

/** @returns the feeds with all rows but the first as they are. */
function otherRow(
  feeds: Readonly<Record<string, Tensor>>,
  inputs: readonly FreeInput[],
  seed: number,
): Record<string, Tensor> {
  const changed = { ...feeds };
  for (const [i, { name, batchAxis, dtype }] of inputs.entries()) {
    if (batchAxis === undefined || !isFloat(dtype)) continue;
    const { dims, data } = feeds[name];
    const fresh = draw(dtype, dims, Random.stream(seed, 1000 + i)).data as Float32Array;
    const copy = (data as Float32Array).slice();
    const block = stridesOf(dims)[batchAxis];
    const outer = sizeOf(dims.slice(0, batchAxis));
    for (let o = 0; o < outer; o++) {
      const start = o * dims[batchAxis] * block;
      copy.set(fresh.subarray(start, start + block), start);
    }
    changed[name] = { dtype, dims, data: copy };
  }
  return changed;
}

/** Relative to the largest value: different batches may take different kernels. */
const TOLERANCE = 1e-4;

function agrees(whole: Tensor, parts: readonly Tensor[]): boolean {
  const size = parts.reduce((sum, p) => sum + p.data.length, 0);
  if (size !== whole.data.length) return false;
  if (!isFloat(whole.dtype)) {
    let at = 0;
    return parts.every((p) => Array.from(p.data as ArrayLike<unknown>).every((x) => Object.is(x, whole.data[at++])));
  }
  const all = toFloat32(whole).data;
  const largest = all.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
  let at = 0;
  return parts.every((p) => toFloat32(p).data.every((x) => Math.abs(x - all[at++]) <= TOLERANCE * largest));
}

/** @returns whether all rows but the first have the same bits in both. */
function keepsOthers(a: Tensor, b: Tensor, rows: number): boolean {
  if (a.data.length !== b.data.length) return false;
  for (let i = a.data.length / rows; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false;
  return true;
}
