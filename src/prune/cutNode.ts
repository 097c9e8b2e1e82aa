import { Attributes } from '../onnx/attributes.js';
import { opsetOf } from '../onnx/graph.js';
import type { GraphProto, NodeProto } from '../onnx/proto.js';
import type { AxisRef, ChannelNode, ChannelValue, CutNode } from '../ops/spec.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { Channels, RelatedNode } from './channels.js';
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
      opset: opsetOf(this.channels.source.model),
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
        if (this.joinsPad(from, make('', ''), constants)) return;
        const to = contents.fresh(`${from}/cut`);
        this.insert(this.before, index, make, from, to, constants);
        node.input[input] = to;
      },
      insertAfter: (output, make, constants) => {
        const to = node.output[output];
        const inserted = make('', '');
        if (this.joinsNext(to, inserted, constants) || this.isTakenAnyway(to, inserted)) return;
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

  /** Lets a constant that is to be added or multiplied join the one that the value's only reader adds or multiplies anyway. */
  private joinsNext(value: string, inserted: NodeProto, constants: Constants = []): boolean {
    const { opType } = inserted;
    if ((opType !== 'Add' && opType !== 'Mul') || constants.length !== 1) return false;
    const { tensor } = constants[0];
    const reader = this.onlyReader(value);
    if (reader?.proto.opType !== opType || reader.proto.domain) return false;
    const operands = reader.channel.inputs.filter((x) => x?.name !== value);
    const [other] = operands;
    const old = operands.length === 1 && other ? this.contents.get(reader.index, other) : undefined;
    if (!old || !sameBroadcast(old, tensor)) return false;
    const [a, b] = [old.data, tensor.data];
    if (!(a instanceof Float32Array && b instanceof Float32Array)) return false;
    const joined = a.map((x, i) => (opType === 'Add' ? x + b[i] : x * b[i]));
    this.contents.set(reader.index, other!, float32(old.dims, joined));
    return true;
  }

  /** Lets zeros that are to be appended join those that an earlier cut appended. */
  private joinsPad(value: string, inserted: NodeProto, constants: Constants = []): boolean {
    if (inserted.opType !== 'Pad') return false;
    const maker = this.channels.nodes.find((n) => n.proto.opType === 'Pad' && n.proto.output[0] === value);
    if (!maker || maker.channel.inputs.length > 2 || !this.isCountedOnly(value)) return false;
    if (new Attributes(maker.proto).string('mode', 'constant') !== 'constant') return false;
    const pads = maker.channel.inputs[1];
    const old = pads && this.contents.get(maker.index, pads);
    if (!old || constants.length !== 1) return false;
    const more = constants[0].tensor.data as BigInt64Array;
    const sum = (old.data as BigInt64Array).map((n, i) => n + more[i]);
    if (old.data.length !== more.length) return false;
    this.contents.set(maker.index, pads, { ...old, data: sum } as Tensor);
    return true;
  }

  /** Whether a value is cut to its first channels by its only reader: that says how many by itself. */
  private isTakenAnyway(value: string, inserted: NodeProto): boolean {
    if (inserted.opType !== 'Slice') return false;
    const reader = this.onlyReader(value);
    if (reader?.proto.opType !== 'Slice') return false;
    const [x] = reader.channel.inputs;
    const last = x!.shape.length - 1;
    const links = reader.relation.links ?? [];
    const map = links.find((l) => l.from.value === x && l.from.axis === last)?.map;
    return map !== undefined && map.length < x!.shape[last] && map.every((from, to) => from === to);
  }

  /** Whether all that reads a value counts the zeros behind it. */
  private isCountedOnly(value: string): boolean {
    const { source, nodes } = this.channels;
    if (source.model.graph.output.some((o) => o.name === value)) return false;
    return nodes.every((n) => {
      if (this.channels.captured(n.index).includes(value)) return false;
      return !n.proto.input.includes(value) || (n.relation.counted ?? []).some((at) => at.value.name === value);
    });
  }

  /** @returns the one node that reads a value, where nothing else does. */
  private onlyReader(value: string): RelatedNode | undefined {
    const { source, nodes } = this.channels;
    if (source.model.graph.output.some((o) => o.name === value)) return undefined;
    const readers = nodes.filter(
      (n) => n.proto.input.includes(value) || this.channels.captured(n.index).includes(value),
    );
    return readers.length === 1 ? readers[0] : undefined;
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
