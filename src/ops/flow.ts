import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { pinsOf } from './links.js';
import type { AxisRef, ChannelNode, ChannelRelation, ChannelValue, Link, Pin } from './spec.js';

/*
 * Control flow as channel rules see it. The nodes of bodies stand in one list with all others; where values go into a body
 * or come out of it, there is a node of this domain. An If has one behind its branches; a Loop or Scan one before its body
 * (`part: enter`), which makes the body's inputs, and one behind it, which makes the node's outputs.
 */

/** The domain of such nodes: no file has them. */
export const FLOW = 'cges-compress.flow';

/** @returns what a node of control flow says about channels. */
export function flowRelation(node: ChannelNode, proto: NodeProto): ChannelRelation {
  const relation = new Relating(node, proto);
  if (proto.opType === 'If') relation.branches();
  else if (node.attrs.string('part') === 'enter') relation.enter();
  else relation.leave();
  return relation.result();
}

class Relating {
  private readonly links: Link[] = [];
  private readonly pins: Pin[] = [];
  private readonly free: AxisRef[] = [];
  private readonly backs: Pick<Link, 'from' | 'to'>[] = [];
  private readonly attrs: Attributes;

  constructor(
    private readonly node: ChannelNode,
    private readonly proto: NodeProto,
  ) {
    this.attrs = new Attributes(proto);
  }

  result(): ChannelRelation {
    const { links, pins, free, backs } = this;
    return { links, pins, free, backs, combine: 'either' };
  }

  /** Inputs: the condition, what the branches give, what a branch that is never taken reads besides. */
  branches(): void {
    const { proto } = this;
    const count = proto.output.length;
    const dead = this.attrs.int('dead', -1);
    const closed = this.attrs.string('closed', '');
    this.pinAll(this.input(0), 'it chooses a branch');
    proto.output.forEach((_, k) => {
      const output = this.output(k);
      const given = [0, 1].map((b) => this.input(1 + b * count + k));
      const live = given.filter((_, b) => b !== dead);
      if (dead >= 0) this.freeAll(given[dead]);
      if (live.includes(undefined)) {
        for (const value of [...live, output]) this.pinAll(value, closed || 'a branch gives no tensor here');
        return;
      }
      this.join(live as ChannelValue[], output, 'the branches give tensors of different shapes here');
    });
    for (let i = 1 + 2 * count; i < proto.input.length; i++) this.freeAll(this.input(i));
  }

  /** Inputs: as the node has them. Outputs: the inputs of the body. */
  enter(): void {
    const { first, states, axes } = this.layout();
    this.proto.input.slice(0, first).forEach((_, i) => this.pinAll(this.input(i), 'it tells how often the body runs'));
    this.proto.output
      .slice(0, first)
      .forEach((_, i) => this.pinAll(this.output(i), 'it tells how often the body runs'));
    for (let k = 0; k < states; k++) {
      const [from, to] = [this.input(first + k), this.output(first + k)];
      if (from && to) this.join([from], to, 'its shape changes from one iteration to the next');
      else for (const value of [from, to]) this.pinAll(value, 'a loop carries it in something that is no tensor');
    }
    axes.forEach((axis, k) => {
      const [from, to] = [this.input(first + states + k), this.output(first + states + k)];
      this.through(from, to, axis, 'element');
    });
  }

  /** Inputs: those of the body, then its outputs. Outputs: as the node has them. */
  leave(): void {
    const { first, states, inputs, axes } = this.layout();
    // A Loop's body gives one condition before what it carries, where it takes two numbers.
    const made = inputs + (first > 0 ? 1 : 0);
    for (let i = 0; i < first; i++) this.pinAll(this.input(i), 'it tells how often the body runs');
    for (let i = first + states; i < inputs; i++) this.freeAll(this.input(i));
    if (first > 0) this.pinAll(this.input(inputs), 'it tells how often the body runs');
    for (let k = 0; k < states; k++) {
      const [before, after, last] = [this.input(first + k), this.input(made + k), this.output(k)];
      if (!before || !after) {
        for (const value of [before, after, last])
          this.pinAll(value, 'a loop carries it in something that is no tensor');
        continue;
      }
      const why = 'its shape changes from one iteration to the next';
      if (last) this.join([before, after], last, why);
      this.carry(before, after, why);
    }
    axes.forEach((axis, k) => this.through(this.output(states + k), this.input(made + states + k), axis, 'stack'));
  }

  private layout() {
    const { attrs } = this;
    return {
      first: attrs.int('first', 0),
      states: attrs.int('states', 0),
      inputs: attrs.int('inputs', 0),
      axes: attrs.ints('axes') ?? [],
    };
  }

  private input(i: number): ChannelValue | undefined {
    const name = this.proto.input[i];
    return name ? this.node.inputs.find((v) => v?.name === name) : undefined;
  }

  private output(i: number): ChannelValue | undefined {
    const name = this.proto.output[i];
    return name ? this.node.outputs.find((v) => v.name === name) : undefined;
  }

  /** One of the values becomes the output. */
  private join(values: readonly ChannelValue[], output: ChannelValue | undefined, why: string): void {
    const all = output ? [...values, output] : values;
    const [first] = all;
    const ranks = all.every((v) => v.shape.length === first.shape.length);
    for (const value of all) {
      value.shape.forEach((size, axis) => {
        const at = { value, axis };
        if (!ranks || all.some((v) => v.shape[axis] !== size)) this.pins.push({ at, why });
        else if (!output) this.free.push(at);
        else if (value !== output) this.links.push({ from: at, to: { value: output, axis }, constants: 'same' });
      });
    }
  }

  /** The next iteration begins with what this one ended with. */
  private carry(before: ChannelValue, after: ChannelValue, why: string): void {
    for (const value of [before, after]) {
      value.shape.forEach((size, axis) => {
        const other = value === before ? after : before;
        if (other.shape.length !== value.shape.length || other.shape[axis] !== size) {
          this.pins.push({ at: { value, axis }, why });
        } else if (value === before) {
          this.backs.push({ from: { value: after, axis }, to: { value: before, axis } });
        }
      });
    }
  }

  /** `whole` has the iterations along an axis, `part` has none of it. */
  private through(
    whole: ChannelValue | undefined,
    part: ChannelValue | undefined,
    at: number,
    kind: 'element' | 'stack',
  ): void {
    const why = 'the iterations lie along this axis';
    if (!whole || !part || whole.shape.length !== part.shape.length + 1) {
      for (const value of [whole, part]) this.pinAll(value, 'its elements are no parts of the whole');
      return;
    }
    const split = at < 0 ? at + whole.shape.length : at;
    whole.shape.forEach((size, axis) => {
      const outer = { value: whole, axis };
      const inner = { value: part, axis: axis < split ? axis : axis - 1 };
      if (axis === split) this.pins.push({ at: outer, why });
      else if (part.shape[inner.axis] !== size) {
        this.pins.push({ at: outer, why: 'its size changes' }, { at: inner, why: 'its size changes' });
      } else {
        const [from, to] = kind === 'element' ? [outer, inner] : [inner, outer];
        this.links.push({ from, to, constants: 'same' });
      }
    });
  }

  private pinAll(value: ChannelValue | undefined, why: string): void {
    if (value) this.pins.push(...pinsOf(value, why));
  }

  private freeAll(value: ChannelValue | undefined): void {
    value?.shape.forEach((_, axis) => this.free.push({ value, axis }));
  }
}
