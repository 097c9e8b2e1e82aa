import { CgesError } from '../../errors.js';
import type { ValueType } from '../../onnx/builder.js';
import { elementTypeOf, shapeOf } from '../../onnx/graph.js';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../../onnx/proto.js';
import { tensorOf } from '../../onnx/tensors.js';
import type { StepPorts } from '../engine.js';
import type { Device } from './device.js';
import { plannedNode } from './kernel.js';
import { kernelOf } from './kernels.js';
import { type Order, plain } from './order.js';
import { Lacking, Planner } from './planner.js';
import { type Program, programOf, type Slot } from './program.js';

/*
 * Comes in: a step graph with the types of its values. Goes out: a program of TensorFlow operators, with the order of
 * memory of every value settled. Nothing depends on the numbers that a run is given.
 */

/** What is planned: nodes and initializers, and the types of what they make. */
export interface Plannable {
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly values: ReadonlyMap<string, ValueType>;
}

export interface PlannedStep {
  readonly program: Program;
  /** State in, then feeds. Out: state in the same order of memory, then metrics. */
  readonly state: readonly Order[];
  /** Handles that live as long as the plan. */
  readonly constants: readonly number[];
}

/** **Throws** PROVIDER_UNAVAILABLE with all operators that this engine lacks. */
export function planStep(device: Device, graph: Plannable, ports: StepPorts): PlannedStep {
  // A first plan shows how the new state lies where nothing is turned for it: so it is held.
  const trial = planPorts(device, graph, ports);
  for (const id of trial.constants) device.free(id);
  return planPorts(device, graph, ports, trial.natural);
}

function planPorts(device: Device, graph: Plannable, { state, feeds, metrics }: StepPorts, held?: readonly Order[]) {
  const types = new Map(graph.values);
  for (const port of [...state, ...feeds]) types.set(port.name, port);
  const planner = new Planner(device, { types });
  const orders = held ?? state.map((s) => plain(s.shape.length));
  const inputs = [
    ...state.map((s, i) => planner.input(s.name, orders[i])),
    ...feeds.map((f) => planner.input(f.name, plain(f.shape.length))),
  ];
  const lacking = planNodes(planner, graph.nodes, graph.initializers);
  if (lacking.length > 0) {
    throw new CgesError('PROVIDER_UNAVAILABLE', `the tfjs engine lacks ${lacking.join(', ')}`, {
      hint: '--engine onnxruntime has them',
    });
  }
  const natural = state.map((s) => planner.order(s.next));
  const outputs = [
    ...state.map((s, i) => planner.read(s.next, orders[i])),
    ...metrics.map((m) => planner.read(m.value)),
  ];
  const program = programOf(planner.instructions, inputs, outputs);
  return { program, state: orders, natural, constants: planner.constants };
}

/** @returns what of it has no kernel here. */
function planNodes(planner: Planner, nodes: readonly NodeProto[], initializers: readonly TensorProto[]): string[] {
  const lacking = new Set<string>();
  for (const tensor of initializers) planner.define(tensor.name!, tensorOf(tensor));
  for (const proto of nodes) {
    const node = plannedNode(proto);
    const kernel = kernelOf(proto);
    try {
      if (!kernel) throw new Lacking(proto.domain ? `${proto.domain}.${node.op}` : node.op);
      kernel(planner, node);
    } catch (error) {
      if (!(error instanceof Lacking)) throw error;
      lacking.add(kernel && !error.message.includes(node.op) ? `${node.op} (${error.message})` : error.message);
      // What follows is planned all the same, to name all that is missing.
      for (const output of node.outputs) if (output !== '') giveNothing(planner, output);
    }
  }
  return [...lacking];
}

function giveNothing(planner: Planner, name: string): void {
  try {
    const { shape } = planner.type(name);
    planner.give(name, { shape, kind: 'float32' });
  } catch {
    planner.give(name, { shape: [], kind: 'float32' });
  }
}

/** A subgraph, to be run by an instruction of the graph around it. */
export interface PlannedBody {
  readonly program: Program;
  /** What it reads of the graph around it, and how that is called in it. */
  readonly captures: ReadonlyMap<Slot, Slot>;
  /** How its outputs lie. */
  readonly orders: readonly Order[];
}

/**
 * @param inputs how its inputs lie
 * @param wanted how its first outputs shall lie; the others, as they are made
 * @throws Lacking with all operators that this engine lacks
 */
export function planBody(
  outer: Planner,
  body: GraphProto,
  inputs: readonly Order[],
  wanted: readonly Order[] = [],
): PlannedBody {
  const types = new Map(body.input.flatMap((info) => typeOf(info) ?? []));
  const planner = new Planner(outer.device, { types, outer });
  const given = body.input.map((info, i) => planner.input(info.name!, inputs[i]));
  const lacking = planNodes(planner, body.node, body.initializer);
  if (lacking.length > 0) throw new Lacking(lacking.join(', '));
  const orders = body.output.map((info, i) => wanted[i] ?? planner.order(info.name!));
  const outputs = body.output.map((info, i) => planner.read(info.name!, orders[i]));
  return { program: programOf(planner.instructions, given, outputs), captures: planner.captures, orders };
}

function typeOf(info: ValueInfoProto): [[string, ValueType]] | undefined {
  const dtype = elementTypeOf(info);
  const shape = shapeOf(info);
  if (!dtype || !shape?.every((d) => typeof d === 'number')) return undefined;
  return [[info.name!, { dtype, shape: shape as number[] }]];
}
