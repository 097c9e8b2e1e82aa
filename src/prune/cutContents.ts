import { Attributes, setAttribute } from '../onnx/attributes.js';
import { makeTensor, makeValueInfo } from '../onnx/make.js';
import type { GraphProto } from '../onnx/proto.js';
import { setTensor } from '../onnx/tensors.js';
import type { ChannelValue } from '../ops/spec.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Channels } from './channels.js';
import { gather, identical } from './contents.js';
import type { Parameter } from './parameters.js';

/** The parameters of a graph while it is cut: a use that comes to differ from the others becomes a constant of its own. */
export class Contents {
  /** Changed contents per parameter, and per node where only that node's use changed. */
  private readonly shared = new Map<string, Tensor>();
  private readonly own = new Map<string, { parameter: Parameter; node: number; tensor: Tensor }>();
  private readonly originals = new Map<string, Tensor>();
  private readonly taken: Set<string>;
  private readonly fixed: ReadonlySet<string>;

  constructor(
    private readonly channels: Channels,
    private readonly graph: GraphProto,
  ) {
    this.taken = new Set([
      ...graph.initializer.map((t) => t.name ?? ''),
      ...graph.input.map((i) => i.name),
      ...graph.node.flatMap((n) => n.output),
      ...channels.parameters.keys(),
    ]);
    this.fixed = new Set([...graph.output.map((o) => o.name), ...graph.node.flatMap((_, i) => channels.captured(i))]);
  }

  /** @returns a value name that is not taken yet. */
  fresh(hint: string): string {
    let name = hint;
    for (let n = 1; this.taken.has(name); n++) name = `${hint}_${n}`;
    this.taken.add(name);
    return name;
  }

  /** @returns the contents that a node reads, or undefined for what is no parameter. */
  get(node: number, value: ChannelValue): Tensor | undefined {
    const parameter = this.channels.parameters.get(value.name);
    if (!parameter) return undefined;
    return (
      this.own.get(`${node} ${value.name}`)?.tensor ??
      this.shared.get(value.name) ??
      this.original(value.name, parameter)
    );
  }

  /** Replaces the contents that a node reads; other readers keep theirs. */
  set(node: number, value: ChannelValue, tensor: Tensor): void {
    const parameter = this.channels.parameters.get(value.name);
    if (!parameter) throw new Error(`${value.name} is no parameter`);
    const alone = parameter.readers.every((r) => r.node === node) && !this.fixed.has(parameter.name);
    if (alone) this.shared.set(value.name, tensor);
    else this.own.set(`${node} ${value.name}`, { parameter, node, tensor });
  }

  /** @returns the contents of a parameter. */
  of(name: string): Tensor {
    return this.shared.get(name) ?? this.original(name, this.channels.parameters.get(name)!);
  }

  /** Replaces a parameter for all of its readers. */
  put(name: string, tensor: Tensor): void {
    this.shared.set(name, tensor);
  }

  /** Cuts all parameters along the axes that lose indices. */
  cut(keptOf: (value: ChannelValue) => readonly (Int32Array | undefined)[]): void {
    const trim = (tensor: Tensor, kept: readonly (Int32Array | undefined)[]): Tensor =>
      kept.reduce((t, indices, axis) => (indices ? gather(t, axis, indices) : t), tensor);
    for (const [name, parameter] of this.channels.parameters) {
      const kept = keptOf(parameter.value);
      if (kept.every((k) => k === undefined)) continue;
      this.shared.set(name, trim(this.shared.get(name) ?? this.original(name, parameter), kept));
      for (const use of this.own.values()) if (use.parameter === parameter) use.tensor = trim(use.tensor, kept);
    }
  }

  /** Adds a new constant to the graph. @returns its name. */
  add(hint: string, tensor: Tensor): string {
    const name = this.fresh(hint);
    this.graph.initializer.push(makeTensor(name, tensor));
    if (this.listsInitializers()) this.graph.input.push(makeValueInfo(name, tensor.dtype, tensor.dims));
    return name;
  }

  /** Writes all changes into the graph. */
  write(): void {
    const uses = new Map<string, { name: string; parameter: Parameter; tensor: Tensor; nodes: readonly number[] }[]>();
    for (const [name, parameter] of this.channels.parameters) {
      const own = [...this.own.values()].filter((u) => u.parameter === parameter);
      const tensor = this.shared.get(name);
      const nodes = [...new Set(parameter.readers.map((r) => r.node))].filter((n) => own.every((u) => u.node !== n));
      const list = uses.get(parameter.name) ?? [];
      // The use that keeps the name comes first.
      if (nodes.length > 0 || this.fixed.has(parameter.name)) {
        list.push({ name, parameter, nodes, tensor: tensor ?? this.original(name, parameter) });
      }
      for (const use of own) list.push({ name, parameter, nodes: [use.node], tensor: use.tensor });
      uses.set(parameter.name, list);
    }
    for (const [name, list] of uses) this.writeUses(name, list);
  }

  private writeUses(
    name: string,
    list: readonly { name: string; parameter: Parameter; tensor: Tensor; nodes: readonly number[] }[],
  ): void {
    const written: { name: string; tensor: Tensor }[] = [];
    for (const use of list) {
      let target = written.find((w) => identical(w.tensor, use.tensor));
      if (!target) {
        target = { name: written.length === 0 ? name : this.nameFor(use.name, name), tensor: use.tensor };
        written.push(target);
        if (target.name === name) this.replace(use.parameter, use.tensor);
        else this.addUse(target.name, use.tensor);
      }
      for (const { node, input } of use.parameter.readers) {
        if (use.nodes.includes(node) && this.graph.node[node].input[input] === name)
          this.graph.node[node].input[input] = target.name;
      }
    }
  }

  private nameFor(wish: string, original: string): string {
    const free = wish !== original && !this.graph.initializer.some((t) => t.name === wish);
    return free ? wish : this.fresh(`${original}_cut`);
  }

  private addUse(name: string, tensor: Tensor): void {
    this.graph.initializer.push(makeTensor(name, tensor));
    if (this.listsInitializers()) this.graph.input.push(makeValueInfo(name, tensor.dtype, tensor.dims));
  }

  private replace(parameter: Parameter, tensor: Tensor): void {
    const { name } = parameter;
    if (identical(tensor, this.original(name, parameter))) return;
    const at = this.graph.initializer.findIndex((t) => t.name === name);
    if (at >= 0) {
      const proto = { ...this.graph.initializer[at] };
      setTensor(proto, tensor);
      this.graph.initializer[at] = proto;
      return;
    }
    const node = this.graph.node.find((n) => n.output.includes(name))!;
    const proto = { ...(new Attributes(node).tensor('value') ?? makeTensor('', tensor)) };
    setTensor(proto, tensor);
    node.attribute = node.attribute.filter((a) => !a.name.startsWith('value_'));
    setAttribute(node, 'value', { tensor: proto });
  }

  private original(name: string, parameter: Parameter): Tensor {
    const known = this.originals.get(name);
    if (known) return known;
    const tensor = parameter.read();
    this.originals.set(name, tensor);
    return tensor;
  }

  /** Before IR 4 every initializer was an input too. */
  private listsInitializers(): boolean {
    const { irVersion } = this.channels.source.model;
    return irVersion !== undefined && Number(irVersion) < 4;
  }
}
