import { sizeOf } from '../../tensor/tensor.js';
import type { Device, Elements, OpAttributes, TypeName } from './device.js';
import type { Operator, Program, Repetition, Slot } from './program.js';
import { attrValues, type NodeDef, shapeValue, tensorValue } from './savedModel.js';

/** `name` or `name:output` of a node. */
export type Ref = string;

/** What lies on the device from run to run. */
export interface Variable {
  readonly handle: Ref;
  /** As it is when a run begins. */
  readonly value: Ref;
  readonly kind: Slot['kind'];
  readonly shape: readonly number[];
}

/** Constants up to this many elements stand in the graph; larger ones are variables, and SavedModels stay small. */
const INLINE = 2 ** 12;

/** Collects nodes of a graph of TensorFlow. */
export class GraphWriter {
  readonly nodes: NodeDef[] = [];
  /** Constants that the graph reads as variables. */
  readonly held: { readonly slot: Slot; readonly variable: Variable }[] = [];

  constructor(private readonly device: Device) {}

  node(op: string, input: readonly Ref[], attributes: OpAttributes = {}): Ref {
    return this.add(op, input, attrValues(attributes));
  }

  /** @returns the node's first output */
  private add(op: string, input: readonly Ref[], attr: NodeDef['attr']): Ref {
    const name = `n${this.nodes.length}`;
    this.nodes.push({ name, op, input: [...input], attr });
    return name;
  }

  /** Lets a node read what was written after it: what an iteration leaves for the next one. */
  connect(node: Ref, input: Ref): void {
    this.nodes[Number(node.slice(1))].input.push(input);
  }

  placeholder({ kind, shape }: Pick<Slot, 'kind' | 'shape'>): Ref {
    return this.add('Placeholder', [], { ...attrValues({ dtype: { type: kind } }), shape: shapeValue(shape) });
  }

  variable({ kind, shape }: Slot): Variable {
    const dtype = { type: kind };
    const handle = this.add('VarHandleOp', [], {
      ...attrValues({ dtype, container: '', shared_name: `variable${this.nodes.length}` }),
      shape: shapeValue(shape),
    });
    return { handle, value: this.node('ReadVariableOp', [handle], { dtype }), kind, shape };
  }

  /** @returns what to wait for. */
  assign({ handle, value, kind }: Variable, next: Ref): Ref {
    return this.node('AssignVariableOp', [handle, next, waiting(value)], { dtype: { type: kind } });
  }

  /** @returns a number that is there when others have run */
  after(others: readonly Ref[]): Ref {
    return this.node('Identity', [this.ints(0), ...others.map(waiting)], { T: { type: 'int32' } });
  }

  /** Small whole numbers that the graph itself needs. */
  ints(values: number | readonly number[]): Ref {
    const shape = typeof values === 'number' ? [] : [values.length];
    return this.literal({ kind: 'int32', shape }, Int32Array.from([values].flat()));
  }

  private literal({ kind, shape }: Pick<Slot, 'kind' | 'shape'>, data: Elements): Ref {
    return this.add('Const', [], {
      ...attrValues({ dtype: { type: kind } }),
      value: tensorValue(kind, shape, data),
    });
  }

  constant(slot: Slot): Ref {
    if (sizeOf(slot.shape) <= INLINE) return this.literal(slot, this.device.download(slot.constant!));
    const variable = this.variable(slot);
    this.held.push({ slot, variable });
    return variable.value;
  }
}

function waiting(ref: Ref): Ref {
  return `^${ref.split(':')[0]}`;
}

/** What slots are called, in a graph or in the body of a loop. */
export class Scope {
  private readonly refs = new Map<Slot, Ref>();
  private readonly constants = new Map<number, Ref>();

  /** @param constant writes what is read for the first time */
  constructor(private readonly constant: (slot: Slot) => Ref) {}

  set(slot: Slot, ref: Ref): void {
    this.refs.set(slot, ref);
  }

  ref(slot: Slot): Ref {
    if (slot.constant === undefined) return this.refs.get(slot)!;
    const known = this.constants.get(slot.constant);
    if (known) return known;
    const ref = this.constant(slot);
    this.constants.set(slot.constant, ref);
    return ref;
  }
}

/** Writes what makes the program's outputs; its inputs are known in `scope`. */
export function writeProgram(g: GraphWriter, { instructions }: Program, scope: Scope): void {
  for (const instruction of instructions) {
    const refs = 'op' in instruction ? writeOperator(g, instruction, scope) : writeRepetition(g, instruction, scope);
    instruction.outputs.forEach((slot, i) => scope.set(slot, refs[i]));
  }
}

/** Types that an operator's attributes name, by the input that has them; most have the one type T of their first. */
const typesOf: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ...named('LogicalNot LogicalAnd LogicalOr Cast', {}),
  ...named('All Any', { Tidx: 1 }),
  ...named('Sum Mean Prod Max Min ArgMax ArgMin Cumsum', { T: 0, Tidx: 1 }),
  ...named('SelectV2', { T: 1 }),
  ...named('OneHot', { T: 2, TI: 0 }),
  ...named('GatherV2', { Tparams: 0, Tindices: 1, Taxis: 2 }),
  ...named('GatherNd', { Tparams: 0, Tindices: 1 }),
  ...named('TensorScatterUpdate TensorScatterAdd TensorScatterMin TensorScatterMax', { T: 0, Tindices: 1 }),
  ...named('Slice StridedSlice', { T: 0, Index: 1 }),
  ...named('Tile', { T: 0, Tmultiples: 1 }),
  ...named('ReverseSequence', { T: 0, Tlen: 1 }),
  ...named('UnsortedSegmentSum', { T: 0, Tindices: 1, Tnumsegments: 2 }),
  ...named('AvgPoolGrad AvgPool3DGrad Conv2DBackpropInput DepthwiseConv2dNativeBackpropInput', { T: 1 }),
  ...named('Conv3DBackpropInputV2', { T: 1, Tshape: 0 }),
};

function named(ops: string, types: Readonly<Record<string, number>>): Record<string, Readonly<Record<string, number>>> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, types]));
}

function writeOperator(g: GraphWriter, { op, attributes, inputs, outputs }: Operator, scope: Scope): Ref[] {
  const types = Object.entries(typesOf[op] ?? { T: 0 }).map(([name, i]) => [name, { type: inputs[i].kind }]);
  const name = g.node(
    op,
    inputs.map((slot) => scope.ref(slot)),
    { ...Object.fromEntries(types), ...attributes },
  );
  return outputs.map((_, i) => (i === 0 ? name : `${name}:${i}`));
}

/**
 * A while loop of TensorFlow 1: values enter a frame, go around by Merge, Switch and NextIteration, and leave it. Source:
 * "Implementation of Control Flow in TensorFlow", 2017.
 */
function writeRepetition(g: GraphWriter, { count, body, index, ...values }: Repetition, outer: Scope): Ref[] {
  const frame = `frame${g.nodes.length}`;
  const enter = (ref: Ref, type: TypeName, constant: boolean): Ref =>
    g.node('Enter', [ref], { T: { type }, frame_name: frame, is_constant: constant, parallel_iterations: 1 });
  const scope = new Scope((slot) => enter(outer.ref(slot), slot.kind, true));
  const whole = (value: number): Ref => enter(g.ints(value), 'int32', true);

  const begin = (initial: Ref, type: TypeName): { type: TypeName; merge: Ref } => ({
    type,
    merge: g.node('Merge', [enter(initial, type, false)], { N: 2, T: { type } }),
  });
  const counter = begin(g.ints(0), 'int32');
  const carried = values.carried.map(({ initial }) => begin(outer.ref(initial), initial.kind));
  const lists = values.stacked.map(({ item: { kind, shape } }) =>
    begin(
      g.node('TensorListReserve', [g.ints(shape), g.ints(count)], {
        element_dtype: { type: kind },
        shape_type: { type: 'int32' },
      }),
      'variant',
    ),
  );
  const goesOn = g.node('LoopCond', [g.node('Less', [counter.merge, whole(count)], { T: { type: 'int32' } })]);
  const around = [counter, ...carried, ...lists].map(({ type, merge }) => {
    const split = g.node('Switch', [merge, goesOn], { T: { type } });
    return { type, merge, inside: `${split}:1`, exit: g.node('Exit', [split], { T: { type } }) };
  });
  const [iteration, ...rest] = around;
  const [states, stacks] = [rest.slice(0, carried.length), rest.slice(carried.length)];

  const sum = (op: 'AddV2' | 'Sub', a: Ref, b: Ref): Ref => g.node(op, [a, b], { T: { type: 'int32' } });
  let last: Ref | undefined;
  const place = (backwards: boolean): Ref => {
    if (!backwards) return iteration.inside;
    return (last ??= sum('Sub', whole(count - 1), iteration.inside));
  };
  if (index) scope.set(index, iteration.inside);
  values.carried.forEach(({ inside }, i) => scope.set(inside, states[i].inside));
  for (const [slot, inside] of values.captures) scope.set(inside, enter(outer.ref(slot), slot.kind, true));
  for (const row of values.rows) {
    const all = enter(outer.ref(row.whole), row.whole.kind, true);
    const types = { Tparams: { type: row.whole.kind }, Tindices: { type: 'int32' }, Taxis: { type: 'int32' } } as const;
    scope.set(row.inside, g.node('GatherV2', [all, place(row.backwards), whole(0)], types));
  }
  writeProgram(g, body, scope);

  const goAround = ({ type, merge }: { type: TypeName; merge: Ref }, next: Ref): void =>
    g.connect(merge, g.node('NextIteration', [next], { T: { type } }));
  goAround(iteration, sum('AddV2', iteration.inside, whole(1)));
  values.carried.forEach(({ next }, i) => goAround(states[i], scope.ref(next)));
  values.stacked.forEach(({ item, backwards }, i) =>
    goAround(
      stacks[i],
      g.node('TensorListSetItem', [stacks[i].inside, place(backwards), scope.ref(item)], {
        element_dtype: { type: item.kind },
      }),
    ),
  );
  const wholes = values.stacked.map(({ item: { kind, shape } }, i) =>
    g.node('TensorListStack', [stacks[i].exit, g.ints(shape)], { element_dtype: { type: kind }, num_elements: count }),
  );
  return [...states.map((s) => s.exit), ...wholes];
}
