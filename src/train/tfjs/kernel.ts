import { Attributes } from '../../onnx/attributes.js';
import type { NodeProto } from '../../onnx/proto.js';
import { sizeOf } from '../../tensor/tensor.js';
import { isPlain, laid, type Order, plain } from './order.js';
import { Lacking, type Planner } from './planner.js';
import type { Slot } from './program.js';

/** A node of the step graph while it is planned. */
export interface PlannedNode {
  readonly op: string;
  readonly name: string;
  /** Names of values; empty for omitted ones. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Attributes;
  readonly proto: NodeProto;
}

/** Plans one operator: reads its inputs in the order of memory that suits it, and gives its outputs. */
export type Kernel = (p: Planner, node: PlannedNode) => void;

export type Kernels = Readonly<Record<string, Kernel>>;

export function plannedNode(proto: NodeProto): PlannedNode {
  const { opType, name = '', input, output } = proto;
  return { op: opType, name, inputs: input, outputs: output, attrs: new Attributes(proto), proto };
}

/** **Throws** Lacking for the forms that a kernel does not have. */
export function lacks(condition: boolean, what: string): void {
  if (condition) throw new Lacking(what);
}

/** Operands of an elementwise operator as they lie in memory, and how its result does. */
export interface Aligned {
  readonly slots: readonly Slot[];
  readonly order: Order;
  readonly shape: readonly number[];
}

/**
 * Reads operands in one order of memory: that of the largest of them, and among equals of one that lies in another order
 * than row-major. So what a convolution left channels-last stays so.
 */
export function aligned(p: Planner, names: readonly string[], shape: readonly number[]): Aligned {
  const rank = shape.length;
  const order = commonOrder(p, names, rank);
  const slots = names.map((name) => {
    const own = p.shape(name);
    if (isPlain(shape, order)) return p.read(name, plain(own.length));
    const missing = rank - own.length;
    const lead = order.filter((axis) => axis >= missing).map((axis) => axis - missing);
    const wide = order.map((axis) => (axis < missing ? 1 : own[axis - missing]));
    while (wide[0] === 1) wide.shift();
    const slot = p.read(name, lead);
    return own.length === rank && sizeOf(own) === sizeOf(shape) ? slot : p.reshape(slot, wide);
  });
  return isPlain(shape, order) ? { slots, order: plain(rank), shape } : { slots, order, shape: laid(shape, order) };
}

function commonOrder(p: Planner, names: readonly string[], rank: number): Order {
  let best: { order: Order; size: number; weight: number } | undefined;
  for (const name of names) {
    const shape = p.shape(name);
    if (shape.length !== rank) continue;
    const order = p.order(name);
    const size = sizeOf(shape);
    const weight = p.isConstant(name) ? 0 : isPlain(shape, order) ? 1 : 2;
    if (!best || size > best.size || (size === best.size && weight > best.weight)) best = { order, size, weight };
  }
  return best?.order ?? plain(rank);
}
