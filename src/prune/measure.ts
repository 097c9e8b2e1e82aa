import type { ModelProto } from '../onnx/proto.js';
import { tensorDims } from '../onnx/tensors.js';
import { openFed } from '../shape/fed.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { Slots } from './channels.js';
import type { Levels, Measure } from './constants.js';
import { numbersOf } from './contents.js';

/** Activations fetched at a time, in elements; for large models more, as a share of their weights: each fetch is a run. */
const CHUNK_ELEMENTS = 16 * 2 ** 20;
const CHUNK_SHARE = 0.5;

/**
 * @returns a measure that runs the model on the given inputs and reads values as they are, with onnxruntime's graph
 * optimisations off. Values are fetched in chunks, so that memory stays bounded.
 */
export function measureBy(
  model: ModelProto,
  feeds: readonly Readonly<Record<string, Tensor>>[],
  slots: number,
): Measure {
  return async (asked) => {
    const levels = {
      low: new Float64Array(slots).fill(Number.POSITIVE_INFINITY),
      high: new Float64Array(slots).fill(Number.NEGATIVE_INFINITY),
      magnitude: new Map<string, number>(),
    } satisfies Levels;
    // onnxruntime-node cannot hand out bfloat16; such values never count as constant.
    const values = asked.filter(
      ({ value: { dtype, isSequence } }) => dtype !== 'bfloat16' && dtype !== 'string' && !isSequence,
    );
    if (values.length === 0) return levels;
    const names = new Set(values.map((v) => v.value.name));
    const known = new Set(model.graph.output.map((o) => o.name));
    const extra = [...names].filter((name) => !known.has(name)).map((name) => ({ name, metadataProps: [] }));
    const graph = { ...model.graph, output: [...model.graph.output, ...extra] };
    const weights = graph.initializer.reduce((sum, t) => sum + sizeOf(tensorDims(t)), 0);
    const limit = Math.max(CHUNK_ELEMENTS, CHUNK_SHARE * weights);
    const session = await openFed({ model: { ...model, graph } });
    try {
      for (const feed of feeds) {
        for (const chunk of chunksOf(values, limit)) {
          const answers = await session.run(
            feed,
            chunk.map((v) => v.value.name),
          );
          for (const one of chunk) record(levels, one, answers[one.value.name]);
        }
      }
    } finally {
      await session.close();
    }
    return levels;
  };
}

function* chunksOf(values: readonly Slots[], limit: number): Generator<Slots[]> {
  let chunk: Slots[] = [];
  let size = 0;
  for (const slots of values) {
    const own = sizeOf(slots.value.shape);
    if (chunk.length > 0 && size + own > limit) {
      yield chunk;
      chunk = [];
      size = 0;
    }
    chunk.push(slots);
    size += own;
  }
  if (chunk.length > 0) yield chunk;
}

function record(
  levels: Levels & { magnitude: Map<string, number> },
  { value: { name, shape }, base }: Slots,
  tensor: Tensor,
): void {
  const data = numbersOf(tensor);
  if (!data) return;
  let largest = levels.magnitude.get(name) ?? 0;
  for (let i = 0; i < data.length; i++) {
    const a = Math.abs(data[i]);
    if (a > largest) largest = a;
  }
  levels.magnitude.set(name, largest);
  base.forEach((from, axis) => {
    if (tensor.dims[axis] !== shape[axis]) return;
    slices(data, tensor.dims, axis, (index, low, high) => {
      const slot = from + index;
      // Not a number stays: it never compares as constant.
      levels.low[slot] = Math.min(levels.low[slot], low);
      levels.high[slot] = Math.max(levels.high[slot], high);
    });
  });
}

/** Visits the slices of a tensor along one axis with their smallest and largest element (NaN where there is one). */
export function slices(
  data: ArrayLike<number>,
  dims: readonly number[],
  axis: number,
  each: (index: number, low: number, high: number) => void,
): void {
  const size = dims[axis];
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  const lows = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const highs = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  // In the order of memory: along an outer axis of a large weight anything else would wait for every single element.
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let index = 0; index < size; index++) {
      let low = lows[index];
      let high = highs[index];
      for (const end = at + inner; at < end; at++) {
        const x = data[at];
        if (Number.isNaN(x)) low = high = Number.NaN;
        else {
          if (x < low) low = x;
          if (x > high) high = x;
        }
      }
      lows[index] = low;
      highs[index] = high;
    }
  }
  for (let index = 0; index < size; index++) each(index, lows[index], highs[index]);
}
