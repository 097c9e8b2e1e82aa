import { type ValueType, sameShape } from '../../onnx/builder.js';
import { sizeOf, type Tensor } from '../../tensor/tensor.js';
import { type Device, type Elements, elementsOf, type Kind, kindOf, type OpAttributes } from './device.js';
import { alike, essence, isPlain, laid, type Order, plain } from './order.js';
import type { Instruction, Operator, Repetition, Slot } from './program.js';

/** An operator, or a form of one, that this engine lacks. */
export class Lacking extends Error {}

/** One of the ways in which a value lies in memory. */
interface Form {
  readonly slot: Slot;
  readonly order: Order;
}

/** A graph's own initializers, types of values, and how an enclosing graph's values are read. */
export interface Surroundings {
  readonly types: ReadonlyMap<string, ValueType>;
  /** The planner of the graph around a body. */
  readonly outer?: Planner;
}

/** Constants up to this many elements are computed when planned, even from much fewer. */
const SMALL = 2 ** 16;

/**
 * Collects the instructions of one graph. Values are known by their ONNX names and shapes; each lies in memory in one
 * order or several, and is turned where a reader wants another one. What depends on constants only is computed here.
 */
export class Planner {
  readonly instructions: Instruction[] = [];
  /** Slots of enclosing graphs that this one reads, and how they are called here. */
  readonly captures = new Map<Slot, Slot>();
  private readonly forms = new Map<string, Form[]>();
  private readonly tensors = new Map<string, Tensor>();
  /** Handles of all constants, which live as long as the plan. */
  readonly constants: number[];
  private readonly shared: Map<string, Slot>;

  constructor(
    readonly device: Device,
    private readonly around: Surroundings,
  ) {
    this.constants = around.outer?.constants ?? [];
    this.shared = around.outer?.shared ?? new Map();
  }

  type(name: string): ValueType {
    const tensor = this.tensors.get(name);
    const type = this.around.types.get(name) ?? (tensor && { dtype: tensor.dtype, shape: tensor.dims });
    if (type) return type;
    if (this.around.outer) return this.around.outer.type(name);
    throw new Lacking(`the shape of ${name} is unknown`);
  }

  shape(name: string): readonly number[] {
    return this.type(name).shape;
  }

  kind(name: string): Kind {
    const { dtype } = this.type(name);
    const kind = kindOf(dtype);
    if (!kind) throw new Lacking(`${name} is of type ${dtype}`);
    return kind;
  }

  /** Makes an initializer known; it gets onto the device when it is read there. */
  define(name: string, tensor: Tensor): void {
    this.tensors.set(name, tensor);
  }

  /** @returns a slot that every run is given. */
  input(name: string, order: Order): Slot {
    const slot: Slot = { shape: laid(this.shape(name), order), kind: this.kind(name) };
    this.give(name, slot, order);
    return slot;
  }

  give(name: string, slot: Slot, order: Order = plain(slot.shape.length)): void {
    if (name !== '') this.forms.set(name, [{ slot, order }]);
  }

  /** Another name for a value, whose shape may be another one too. */
  alias(name: string, of: string, order: (order: Order) => Order = (o) => o): void {
    this.forms.set(
      name,
      this.formsOf(of).map((f) => ({ slot: f.slot, order: order(f.order) })),
    );
  }

  /** How a value lies first of all. */
  order(name: string): Order {
    return this.formsOf(name)[0].order;
  }

  isConstant(name: string): boolean {
    return this.formsOf(name)[0].slot.constant !== undefined;
  }

  /** @returns the value in an order of memory; how it lies anyway, without one. */
  read(name: string, order?: Order): Slot {
    const forms = this.formsOf(name);
    if (!order) return forms[0].slot;
    const exact = forms.find((f) => sameShape(f.order, order));
    if (exact) return exact.slot;
    const shape = this.shape(name);
    const like = forms.find((f) => alike(shape, f.order, order));
    let slot: Slot;
    if (like) slot = this.reshape(like.slot, laid(shape, order));
    else if (!this.forms.has(name) && !this.tensors.has(name))
      slot = this.capture(this.around.outer!.read(name, order));
    else slot = this.turned(forms[0], shape, order);
    this.forms.get(name)?.push({ slot, order });
    return slot;
  }

  /** Axes of size 1 are left out: the fewer axes, the faster TensorFlow turns them. */
  private turned({ slot, order }: Form, shape: readonly number[], to: Order): Slot {
    const [from, wanted] = [essence(shape, order), essence(shape, to)];
    const narrow = this.reshape(slot, laid(shape, from));
    const perm = wanted.map((axis) => from.indexOf(axis));
    return this.reshape(this.transpose(narrow, perm), laid(shape, to));
  }

  private formsOf(name: string): Form[] {
    const known = this.forms.get(name);
    if (known) return known;
    const tensor = this.tensors.get(name);
    if (tensor) {
      const forms = [{ slot: this.constant(tensor.dims, elementsOf(tensor)), order: plain(tensor.dims.length) }];
      this.forms.set(name, forms);
      return forms;
    }
    const { outer } = this.around;
    if (!outer) throw new Lacking(`nothing makes ${name}`);
    return outer.formsOf(name).map(({ slot, order }) => ({ slot: this.capture(slot), order }));
  }

  private capture(slot: Slot): Slot {
    if (slot.constant !== undefined) return slot;
    const known = this.captures.get(slot);
    if (known) return known;
    const here: Slot = { shape: slot.shape, kind: slot.kind };
    this.captures.set(slot, here);
    return here;
  }

  /** @returns the elements of a value that is known now, row-major; undefined where it depends on a run. */
  known(name: string): Elements | undefined {
    if (name === '') return undefined;
    const tensor = this.tensors.get(name);
    if (tensor) return elementsOf(tensor);
    const slot = this.read(name, plain(this.shape(name).length));
    return slot.constant === undefined ? undefined : this.device.download(slot.constant);
  }

  /** @returns the numbers of an operand that must be constant: axes, shapes. */
  numbers(name: string | undefined): number[] | undefined {
    if (name === undefined || name === '') return undefined;
    const found = this.known(name);
    if (!found) throw new Lacking(`${name} is computed, where a constant is needed`);
    return Array.from(found);
  }

  constant(shape: readonly number[], data: Elements): Slot {
    const kind = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool';
    const key = data.length <= 16 ? `${kind}[${shape}]${data.join()}` : undefined;
    const known = key && this.shared.get(key);
    if (known) return known;
    const slot = this.held(shape, kind, this.device.upload(shape, data));
    if (key) this.shared.set(key, slot);
    return slot;
  }

  ints(values: readonly number[]): Slot {
    return this.constant([values.length], Int32Array.from(values));
  }

  float(value: number): Slot {
    return this.constant([], Float32Array.of(value));
  }

  private held(shape: readonly number[], kind: Kind, constant: number): Slot {
    this.constants.push(constant);
    return { shape, kind, constant };
  }

  /** Adds an operator of TensorFlow with one result. */
  op(
    op: string,
    inputs: readonly Slot[],
    shape: readonly number[],
    attributes: OpAttributes = {},
    kind: Kind = inputs[0].kind,
  ): Slot {
    return this.ops(op, inputs, [{ shape, kind }], attributes)[0];
  }

  ops(
    op: string,
    inputs: readonly Slot[],
    outputs: readonly { readonly shape: readonly number[]; readonly kind: Kind }[],
    attributes: OpAttributes = {},
  ): Slot[] {
    return this.add({ op, attributes, inputs, outputs: outputs.map((o) => ({ ...o })) });
  }

  /** Adds an operator, or runs it at once where all that it reads is constant and what it makes is not much larger. */
  private add(operator: Operator): Slot[] {
    const { op, attributes, inputs, outputs } = operator;
    const sum = (slots: readonly Slot[]): number => slots.reduce((n, s) => n + sizeOf(s.shape), 0);
    const fixed = inputs.every((s) => s.constant !== undefined);
    if (fixed && inputs.length > 0 && sum(outputs) <= Math.max(SMALL, sum(inputs))) {
      const made = this.device.execute(
        op,
        attributes,
        inputs.map((s) => s.constant!),
        outputs.length,
      );
      return outputs.map((o, i) => this.held(o.shape, o.kind, made[i]));
    }
    this.instructions.push(operator);
    return [...outputs];
  }

  repeat(repetition: Repetition): readonly Slot[] {
    this.instructions.push(repetition);
    return repetition.outputs;
  }

  /** The same elements in another shape; TensorFlow copies none. */
  reshape(slot: Slot, shape: readonly number[]): Slot {
    if (sameShape(slot.shape, shape)) return slot;
    const from = slot.viewOf ?? slot;
    if (sameShape(from.shape, shape)) return from;
    const key = shape.join();
    const known = this.views.get(from)?.get(key);
    if (known) return known;
    const outputs = [{ shape, kind: slot.kind, viewOf: from }];
    const [view] = this.add({ op: 'Reshape', attributes: {}, inputs: [from, this.ints(shape)], outputs });
    if (!this.views.has(from)) this.views.set(from, new Map());
    this.views.get(from)!.set(key, view);
    return view;
  }

  private readonly views = new Map<Slot, Map<string, Slot>>();

  transpose(slot: Slot, perm: readonly number[]): Slot {
    if (perm.every((p, i) => p === i)) return slot;
    const shape = perm.map((p) => slot.shape[p]);
    if (isPlain(slot.shape, perm)) return this.reshape(slot, shape);
    return this.op('Transpose', [slot, this.ints(perm)], shape);
  }
}
