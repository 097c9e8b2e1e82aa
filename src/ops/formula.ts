import type { AttributeValue } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import type { NodeProto } from '../onnx/proto.js';
import { float32, int64 } from '../tensor/tensor.js';
import { type NormaliseContext, refused } from './spec.js';

/** Why an operator that `normalise` spells out needs no gradient of its own. */
export const spelledOut = refused('its gradient is that of the operators which the training graph has in its place');

/** Writes a node as a formula of others (opset 18), for `normalise` rules. */
export class Formula {
  readonly nodes: NodeProto[] = [];

  constructor(
    private readonly of: NodeProto,
    private readonly context: NormaliseContext,
  ) {}

  /** Applies an operator to named values. @returns the name of its result: a fresh one, unless it is given. */
  apply(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = this.context.fresh(`${this.of.output[0]}/${op}`),
  ): string {
    this.nodes.push(makeNode(op, inputs, [output], attributes, { name: output }));
    return output;
  }

  /** Applies the operator whose result is the node's own. @returns all nodes of the formula. */
  last(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output: readonly string[] = [this.of.output[0]],
  ): NodeProto[] {
    return [...this.nodes, makeNode(op, inputs, output, attributes, { name: this.of.name })];
  }

  scalar(x: number): string {
    return this.context.constant(float32([], [x]));
  }

  ints(list: readonly number[]): string {
    return this.context.constant(int64([list.length], list));
  }
}
