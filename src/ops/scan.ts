import { GraphBuilder, type Value } from '../onnx/builder.js';
import { makeGraph, makeValueInfo } from '../onnx/make.js';

/** What one step of a scan makes of the states and of its item of every sequence. */
export interface ScanStep {
  readonly states: readonly Value[];
  readonly items: readonly Value[];
}

/**
 * Emits a loop over the first axis of some sequences, with states carried from step to step. The body may read any value
 * of the graph around it that is no gradient (those are renamed in the end).
 * @param backwards walks from the last item to the first; what comes out lies where the item lay that it was made from
 * @returns the states after the last step, and the items that all steps made.
 * **Source**: ONNX Scan, opset 16.
 */
export function scan(
  g: GraphBuilder,
  name: string,
  backwards: boolean,
  states: readonly Value[],
  sequences: readonly Value[],
  step: (inner: GraphBuilder, states: readonly Value[], items: readonly Value[]) => ScanStep,
): ScanStep {
  const inner = new GraphBuilder(g.engine, g);
  const port = (like: Value, shape: readonly number[], hint: string): Value => ({
    name: inner.unique(`${name}/${hint}`),
    dtype: like.dtype,
    shape,
  });
  const [before, items] = [
    states.map((s) => port(s, s.shape, 'state')),
    sequences.map((s) => port(s, s.shape.slice(1), 'item')),
  ];
  const made = inner.within(name, () => step(inner, before, items));
  // Every result of a body is a value of its own that a node of the body makes.
  const own = new Set(inner.nodes.flatMap((n) => n.output));
  const results = [...made.states, ...made.items].map((v) =>
    own.delete(v.name) ? v : inner.within(name, () => inner.unary('Identity', v)),
  );
  const info = (v: Value) => makeValueInfo(v.name, v.dtype, v.shape);
  const body = makeGraph({
    name: `${name}/step`,
    node: inner.nodes,
    initializer: inner.initializers,
    input: [...before, ...items].map(info),
    output: results.map(info),
  });
  for (const domain of inner.domains) g.domains.add(domain);
  const length = sequences[0].shape[0];
  const direction = backwards ? 1 : 0;
  const outputs = g.emit(
    'Scan',
    [...states, ...sequences],
    results.map(({ dtype, shape }, i) => ({ dtype, shape: i < states.length ? shape : [length, ...shape] })),
    {
      body: { graph: body },
      num_scan_inputs: sequences.length,
      scan_input_directions: sequences.map(() => direction),
      scan_output_directions: made.items.map(() => direction),
    },
  );
  return { states: outputs.slice(0, states.length), items: outputs.slice(states.length) };
}
