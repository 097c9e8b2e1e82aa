import type { AttributeValue } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import type { NodeProto } from '../onnx/proto.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { NormaliseContext } from './spec.js';

/** Spells a node out in standard operators, for the training graph. */
export class Chain {
  readonly nodes: NodeProto[] = [];

  constructor(
    private readonly node: NodeProto,
    private readonly context: NormaliseContext,
  ) {}

  /** Adds a node. @returns the name of its only output: a fresh one, unless it is given. */
  emit(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = this.context.fresh(`${this.node.output[0]}/${op}`),
  ): string {
    this.nodes.push(makeNode(op, inputs, [output], attributes, { name: output }));
    return output;
  }

  /** @returns the name of a constant. */
  constant(tensor: Tensor): string {
    return this.context.constant(tensor);
  }

  /** @returns the name of a constant number. */
  scalar(value: number): string {
    return this.context.constant(float32([], [value]));
  }
}
