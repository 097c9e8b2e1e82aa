import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { int64 } from '../tensor/tensor.js';
import type { OpSpec } from './spec.js';

/** @returns a normalise rule for a list that was the attribute `name` before opset `since`, and is input 1 from then on. */
export function listBecomesInput(name: string, since: number): NonNullable<OpSpec['normalise']> {
  return (node, context) => {
    const list = new Attributes(node).ints(name);
    if (context.opset >= since || list === undefined) return undefined;
    const kept = node.attribute.filter((a) => a.name !== name);
    const input = [node.input[0], context.constant(int64([list.length], list))];
    return [{ ...makeNode(node.opType, input, node.output, {}, { name: node.name }), attribute: kept }];
  };
}
