import type { GraphProto, NodeProto } from '../onnx/proto.js';
import type { AxisRef, ChannelNode, ChannelValue, CutNode } from '../ops/spec.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Channels } from './channels.js';
import type { Contents } from './cutContents.js';

type Make = Parameters<CutNode['insertAfter']>[1];
type Constants = Parameters<CutNode['insertAfter']>[2];

/** Gives operators their view of a graph that is being cut, and puts the nodes that they insert into their places. */
export class CutView {
  private readonly before = new Map<number, NodeProto[]>();
  private readonly after = new Map<number, NodeProto[]>();

  constructor(
    private readonly channels: Channels,
    private readonly graph: GraphProto,
    private readonly contents: Contents,
    private readonly kept: (at: AxisRef) => Int32Array | undefined,
  ) {}

  at(index: number): CutNode {
    const { channel } = this.channels.nodes[index];
    const node = this.graph.node[index];
    const { contents } = this;
    return {
      node,
      opset: channel.opset,
      inputs: channel.inputs,
      outputs: channel.outputs,
      kept: this.kept,
      parameter: (value) => contents.get(index, value),
      setParameter: (value: ChannelValue, tensor: Tensor) => contents.set(index, value, tensor),
      setInput: (input, tensor) => {
        while (node.input.length <= input) node.input.push('');
        node.input[input] = contents.add(inputName(channel, node, input), tensor);
      },
      insertBefore: (input, make, constants) => {
        const from = node.input[input];
        const to = contents.fresh(`${from}/cut`);
        this.insert(this.before, index, make, from, to, constants);
        node.input[input] = to;
      },
      insertAfter: (output, make, constants) => {
        const to = node.output[output];
        const from = contents.fresh(`${to}/cut`);
        this.insert(this.after, index, make, from, to, constants);
        node.output[output] = from;
      },
    };
  }

  private insert(
    where: Map<number, NodeProto[]>,
    index: number,
    make: Make,
    from: string,
    to: string,
    constants: Constants,
  ): void {
    const node = make(from, to);
    for (const { name, tensor } of constants ?? []) {
      const given = this.contents.add(name, tensor);
      node.input = node.input.map((x) => (x === name ? given : x));
    }
    // A later insertion lies nearer to the node.
    const list = where.get(index) ?? [];
    where.set(index, where === this.before ? [...list, node] : [node, ...list]);
  }

  /** Puts the inserted nodes into the graph. */
  finish(): void {
    this.graph.node = this.graph.node.flatMap((node, i) => [
      ...(this.before.get(i) ?? []),
      node,
      ...(this.after.get(i) ?? []),
    ]);
  }
}

function inputName(channel: ChannelNode, node: NodeProto, input: number): string {
  const old = channel.inputs[input]?.name;
  return old ? `${old}/cut` : `${node.name || node.output[0]}/input${input}`;
}
