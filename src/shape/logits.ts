import type { NodeProto } from '../onnx/proto.js';
import { isFloat } from '../tensor/half.js';
import type { DType } from '../tensor/tensor.js';

/** The value that is trained in the place of a user's output, and what lies between them. */
export interface Logits {
  readonly value: string;
  /** Operators that are looked through, nearest to the value first. */
  readonly through: readonly string[];
}

/** They pick or rescale classes without changing their order: the loss is computed on what goes in. */
const afterLogits = new Set(['Softmax', 'LogSoftmax', 'ArgMax', 'ArgMin', 'TopK', 'Identity']);
/** They are looked through only where they carry integers: class numbers, made by one of the above. */
const ofIntegers = new Set(['Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten']);

/** @returns the last float value on the way to an output that a loss can be computed on, or undefined. */
export function logitsOf(
  output: string,
  producers: ReadonlyMap<string, NodeProto>,
  dtypeOf: (name: string) => DType | undefined,
): Logits | undefined {
  const through: string[] = [];
  let value = output;
  for (;;) {
    const node = producers.get(value);
    const dtype = dtypeOf(value);
    const float = dtype !== undefined && isFloat(dtype);
    const op = node?.domain ? '' : (node?.opType ?? '');
    if (op === 'Where' && !float) {
      // A choice between class numbers: of one of them scores tell, the other is what is answered without a choice.
      const told = node!.input.slice(1).flatMap((branch) => logitsOf(branch, producers, dtypeOf) ?? []);
      return told.length === 1 ? { ...told[0], through: [...told[0].through, op, ...through.reverse()] } : undefined;
    }
    const passes = afterLogits.has(op) || (ofIntegers.has(op) && (!float || carriesClasses(value, producers)));
    if (!node || !passes) return float ? { value, through: through.reverse() } : undefined;
    through.push(op);
    value = node.input[0];
  }
}

/** @returns whether an ArgMax or TopK lies a few casts and squeezes before a value: some exporters cast classes to floats. */
function carriesClasses(value: string, producers: ReadonlyMap<string, NodeProto>): boolean {
  let node = producers.get(value);
  while (node && ofIntegers.has(node.opType)) node = producers.get(node.input[0]);
  return node?.opType === 'ArgMax' || (node?.opType === 'TopK' && !node.domain);
}
