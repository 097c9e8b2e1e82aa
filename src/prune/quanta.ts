import { indexGraph } from '../onnx/graph.js';
import type { ModelProto, NodeProto } from '../onnx/proto.js';
import { tensorOf } from '../onnx/tensors.js';
import { constantOf } from '../onnx/weights.js';
import type { Tensor } from '../tensor/tensor.js';
import { numbersOf } from './contents.js';

/*
 * A quantised value takes few levels. Sums of whole numbers are exact; but where a sum of floats is rounded to a level, the
 * last bit of that sum, which depends on the order of its terms, can decide a tie: the value then moves by one quantum.
 */

const roundingOps =
  /^(QuantizeLinear|QLinear\w+|QGemm|QAttention|\w*DynamicQuantize\w*|MatMulInteger\w*|ConvInteger|QEmbed\w+)$/;

/** @returns whether a model rounds what it computes to few levels. */
export function roundsToLevels({ graph }: ModelProto): boolean {
  const constants = new Set(graph.initializer.map((t) => t.name));
  return graph.node.some((n) => roundingOps.test(n.opType) && !constants.has(n.input[0]));
}

/** Keep their elements as they are. */
const moving = new Set([
  'Identity',
  'Reshape',
  'Transpose',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Slice',
  'Split',
  'MaxPool',
  'Concat',
]);

/** @returns by how much one quantum moves an output that quantised numbers are made of alone, by its name. */
export function quantaOf({ graph }: ModelProto, names: Iterable<string>): Map<string, number> {
  const { producers } = indexGraph(graph);
  const initializers = new Map(graph.initializer.map((t) => [t.name ?? '', t]));
  const read = (name: string): Tensor | undefined => {
    const given = initializers.get(name);
    const node = producers.get(name);
    return given ? tensorOf(given) : node && constantOf(node);
  };
  const quantum = (name: string): number | undefined => {
    const node = producers.get(name);
    if (!node) return undefined;
    const scale = scaleOf(node);
    if (scale !== undefined) {
      const numbers = read(scale) && numbersOf(read(scale)!);
      return numbers && Math.max(...Array.from(numbers));
    }
    if (node.domain || !moving.has(node.opType)) return undefined;
    const parts = (node.opType === 'Concat' ? node.input : node.input.slice(0, 1)).map(quantum);
    return parts.every((part) => part !== undefined) ? Math.max(...parts) : undefined;
  };
  return new Map([...names].flatMap((name) => (quantum(name) === undefined ? [] : [[name, quantum(name)!]])));
}

/** @returns the name of the scale by which a node makes floats of quantised numbers. */
function scaleOf({ opType, input }: NodeProto): string | undefined {
  return opType === 'DequantizeLinear' ? input[1] : undefined;
}
