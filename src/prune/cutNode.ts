import type { GraphProto, NodeProto } from '../onnx/proto.js';
import type { AxisRef, ChannelNode, ChannelValue, CutNode } from '../ops/spec.js';
import { float32, type Tensor } from '../tensor/tensor.js';
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
    const { channel } = this.channels.nodes.find((n) => n.index === index)!;
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
        if (this.joinsNextAdd(to, make('', ''), constants)) return;
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

  /** Adds a constant that is to be added behind a value to the one that its only reader adds anyway. */
  private joinsNextAdd(value: string, inserted: NodeProto, constants: Constants = []): boolean {
    const { source, nodes } = this.channels;
    if (inserted.opType !== 'Add' || constants.length !== 1) return false;
    const { tensor } = constants[0];
    const outside = source.model.graph.output.some((o) => o.name === value);
    const readers = nodes.filter(
      (n) => n.proto.input.includes(value) || this.channels.captured(n.index).includes(value),
    );
    const [reader] = readers;
    if (outside || readers.length !== 1 || reader.proto.opType !== 'Add' || reader.proto.domain) return false;
    const operands = reader.channel.inputs.filter((x) => x?.name !== value);
    const [bias] = operands;
    const old = operands.length === 1 && bias ? this.contents.get(reader.index, bias) : undefined;
    if (!old || !sameBroadcast(old, tensor)) return false;
    const [a, b] = [old.data, tensor.data];
    if (!(a instanceof Float32Array && b instanceof Float32Array)) return false;
    this.contents.set(
      reader.index,
      bias!,
      float32(
        old.dims,
        a.map((x, i) => x + b[i]),
      ),
    );
    return true;
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

/** Whether two constants broadcast alike: their shapes differ in leading ones at most. */
function sameBroadcast(a: Tensor, b: Tensor): boolean {
  const bare = ({ dims }: Tensor): string => String(dims.slice(dims.findIndex((d) => d !== 1)));
  return a.dtype === b.dtype && bare(a) === bare(b);
}
