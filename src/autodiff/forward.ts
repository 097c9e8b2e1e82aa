import { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { bodiesOf, capturesOf } from '../onnx/graph.js';
import type { GraphProto, NodeProto } from '../onnx/proto.js';
import type { LowerContext, OpNode, OpSpec } from '../ops/spec.js';
import type { DType, Tensor } from '../tensor/tensor.js';

/*
 * Comes in: a normalised graph and the values that its parameters have in this step. Goes out: its nodes in the
 * builder, and the tape that the reverse sweep reads. Does not choose what is trained, and adds no loss.
 */

/** What is needed of a training graph to emit it. */
export interface EmittableGraph {
  readonly nodes: readonly NodeProto[];
  readonly values: ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** Finds what is known of an operator. */
export type SpecLookup = (op: string, domain?: string) => OpSpec | undefined;

/** One emitted node, as the reverse sweep sees it. */
export interface TapeEntry {
  readonly node: OpNode;
  readonly spec: OpSpec | undefined;
  /** Where each of the node's inputs and outputs stands, and what its bodies capture; `undefined` for omitted ones. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly (Value | undefined)[];
}

/** The emitted forward pass. */
export interface Forward {
  readonly tape: readonly TapeEntry[];
  /** The emitted value of every name in the graph. */
  readonly values: Map<string, Value>;
}

/**
 * Emits the forward pass of a training graph.
 * @param given values by their names in the graph: its inputs, and whatever changes from step to step (parameters,
 *   running statistics). What is not given becomes a constant of the emitted graph.
 */
export function emitForward(
  g: GraphBuilder,
  graph: EmittableGraph,
  given: ReadonlyMap<string, Value>,
  context: LowerContext,
  specOf: SpecLookup,
): Forward {
  const values = new Map(given);
  const tape: TapeEntry[] = [];

  const read = (name: string, reader: NodeProto): Value | undefined => {
    if (name === '') return undefined;
    const known = values.get(name);
    if (known) return known;
    const tensor = graph.constants.get(name) ?? graph.parameters.get(name);
    if (!tensor) throw new Error(`${reader.opType} ${reader.name ?? ''} reads ${name}, which nothing has made`);
    const value = g.constant(tensor, name);
    values.set(name, value);
    return value;
  };

  for (const proto of graph.nodes) {
    const spec = specOf(proto.opType, proto.domain);
    const inputs = proto.input.map((name) => read(name, proto));
    const captured = capturedBy(proto).map((name) => read(name, proto));
    const declared = proto.output.map((name) => (name === '' ? undefined : declaredOf(graph, name)));
    const name = proto.name || proto.output.find((o) => o !== '') || proto.opType;
    const draft: OpNode = {
      op: proto.opType,
      name,
      inputs: inputs as Value[],
      outputs: declared as Value[],
      attrs: new Attributes(proto),
      saved: {},
    };
    const lowered = spec?.lower && g.within(name, () => spec.lower!(g, draft, context));
    const outputs = lowered
      ? declared.map((_, i) => lowered.outputs[i])
      : g.copy(
          capturing(proto, values),
          inputs.map((v) => v ?? null),
          declared,
        );
    const node: OpNode = { ...draft, outputs: outputs as Value[], saved: lowered?.saved ?? {} };
    proto.output.forEach((output, i) => {
      const value = outputs[i];
      if (output !== '' && value) values.set(output, value);
    });
    tape.push({ node, spec, inputs: [...inputs, ...captured], outputs });
  }
  return { tape, values };
}

function declaredOf(graph: EmittableGraph, name: string): Value {
  const known = graph.values.get(name);
  if (!known) throw new Error(`the shape of ${name} is unknown`);
  return { name, ...known };
}

/** @returns names that the bodies of a node read from outside. */
function capturedBy(proto: NodeProto): string[] {
  return bodiesOf(proto).flatMap(({ graph }) => [...capturesOf(graph)]);
}

/** Bodies (If, Loop, Scan) read outer values by name: they follow where emission renamed one. */
function capturing(proto: NodeProto, values: ReadonlyMap<string, Value>): NodeProto {
  if (!proto.attribute.some((a) => a.g !== undefined || a.graphs.length > 0)) return proto;
  const outer = new Map([...values].flatMap(([name, v]) => (name === v.name ? [] : [[name, v.name]])));
  return outer.size === 0 ? proto : rebound(proto, outer);
}

function rebound(proto: NodeProto, outer: ReadonlyMap<string, string>): NodeProto {
  const attribute = proto.attribute.map((a) => ({
    ...a,
    ...(a.g && { g: reboundBody(a.g, outer) }),
    graphs: a.graphs.map((body) => reboundBody(body, outer)),
  }));
  return { ...proto, attribute };
}

function reboundBody(body: GraphProto, outer: ReadonlyMap<string, string>): GraphProto {
  const own = new Set(
    [...body.input, ...body.initializer, ...body.node.flatMap((n) => n.output.map((name) => ({ name })))].map(
      (v) => v.name,
    ),
  );
  const free = new Map([...outer].filter(([name]) => !own.has(name)));
  const renamed = (name: string): string => free.get(name) ?? name;
  return {
    ...body,
    node: body.node.map((n) => ({ ...rebound(n, free), input: n.input.map(renamed) })),
    output: body.output.map((o) => ({ ...o, name: renamed(o.name) })),
  };
}
