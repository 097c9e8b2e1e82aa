import { gradients as emitGradients } from '../autodiff/backward.js';
import { emitForward, type Forward } from '../autodiff/forward.js';
import { CgesError, hasCode } from '../errors.js';
import { GraphBuilder, type Value } from '../onnx/builder.js';
import { cpuEngine } from '../onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { specOf } from '../ops/index.js';
import { openSession } from '../runtime/session.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { float32Feeds } from '../shape/training-model.js';
import { TRAINING_OPSET } from '../onnx/builder.js';
import { float32, type Tensor } from '../tensor/tensor.js';

/*
 * Comes in: a training graph, inputs, and a direction R for each of its outputs. Goes out: the gradients of the loss
 * Σ output · R, compiled and run as in training, with stored statistics in BatchNormalization.
 */

export interface Gradients {
  /** By the user's names; those of clones are added up. A trained parameter that the outputs don't depend on is absent. */
  readonly of: ReadonlyMap<string, Float32Array>;
  /** By the names of the training graph. */
  readonly uses: ReadonlyMap<string, Float32Array>;
  /** Why a parameter has no gradient: an operator between it and the outputs has none. */
  readonly refused: ReadonlyMap<string, string>;
  readonly loss: number;
  /** √Σ (output · R)²: how large the loss is where its terms have random signs. */
  readonly lossScale: number;
}

/** Names of parameters in the training graph, by the user's name. */
export function usesOf(graph: TrainingGraph): Map<string, string[]> {
  const uses = new Map<string, string[]>();
  for (const name of graph.parameters.keys()) {
    const of = graph.clones.find((c) => c.name === name)?.of ?? name;
    uses.set(of, [...(uses.get(of) ?? []), name]);
  }
  return uses;
}

/**
 * @param directions R by the names of the graph's outputs
 *
 * **Throws** NO_GRADIENT when no parameter at all has a gradient.
 */
export async function gradientsOf(
  graph: TrainingGraph,
  feeds: Readonly<Record<string, Tensor>>,
  directions: ReadonlyMap<string, Float32Array>,
): Promise<Gradients> {
  const { model, values, grads, outputs, refused } = compiled(graph, feeds, directions);
  const session = await openSession(model);
  let results: Record<string, Tensor>;
  try {
    results = await session.run(values);
  } finally {
    await session.close();
  }
  const of = new Map<string, Float32Array>();
  const each = new Map<string, Float32Array>();
  const why = new Map<string, string>();
  for (const [name, uses] of usesOf(graph)) {
    const told = uses.map((use) => refused.get(use)).find((w) => w !== undefined);
    if (told !== undefined) why.set(name, told);
    for (const use of uses) if (grads.has(use)) each.set(use, results[grads.get(use)!.name].data as Float32Array);
    const parts = uses.flatMap((use) => each.get(use) ?? []);
    if (told !== undefined || parts.length === 0) continue;
    of.set(
      name,
      parts.reduce((sum, part) => sum.map((x, i) => x + part[i])),
    );
  }
  return {
    of,
    uses: each,
    refused: why,
    ...lossOf([...outputs].map(([name, v]) => [results[v.name], directions.get(name)!])),
  };
}

/** @returns Σ output · R, and how large it is where its terms have random signs. */
export function lossOf(terms: Iterable<readonly [Tensor, Float32Array]>): Pick<Gradients, 'loss' | 'lossScale'> {
  let loss = 0;
  let squares = 0;
  for (const [{ data }, direction] of terms) {
    for (let i = 0; i < direction.length; i++) {
      const term = Number(data[i]) * direction[i];
      loss += term;
      squares += term * term;
    }
  }
  return { loss, lossScale: Math.sqrt(squares) };
}

interface Compiled {
  readonly model: ModelProto;
  readonly values: Readonly<Record<string, Tensor>>;
  readonly grads: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
  readonly refused: ReadonlyMap<string, string>;
}

/** Compiles the gradients of all parameters that have one. */
function compiled(
  graph: TrainingGraph,
  feeds: Readonly<Record<string, Tensor>>,
  directions: ReadonlyMap<string, Float32Array>,
): Compiled {
  const refused = new Map<string, string>();
  for (;;) {
    const g = new GraphBuilder(cpuEngine);
    const { forward, values } = emitted(g, graph, feeds);
    const outputs = new Map([...directions.keys()].map((name) => [name, forward.values.get(name)!]));
    const seeds = new Map(
      [...directions].map(([name, data]) => [name, g.constant(float32(outputs.get(name)!.shape, data), `${name}.R`)]),
    );
    const wanted = [...graph.parameters.keys()].filter((name) => !refused.has(name));
    try {
      const grads = emitGradients(g, forward, seeds, wanted);
      const names = new Set([...outputs.values(), ...grads.values()].map((v) => v.name));
      const model = makeModel(
        makeGraph({
          node: g.nodes,
          initializer: g.initializers,
          input: Object.entries(values).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
          output: [...names].map((name) => ({ name, metadataProps: [] })),
        }),
        TRAINING_OPSET,
        [...g.domains],
      );
      return { model, values, grads, outputs, refused };
    } catch (error) {
      const behind = hasCode(error, 'NO_GRADIENT') ? reaching(forward, error, wanted) : [];
      if (behind.length === 0 || behind.length === wanted.length) throw error;
      for (const name of behind) refused.set(name, (error as CgesError).message);
    }
  }
}

function emitted(g: GraphBuilder, graph: TrainingGraph, feeds: Readonly<Record<string, Tensor>>) {
  const given = new Map<string, Value>();
  const values: Record<string, Tensor> = {};
  const give = (name: string, tensor: Tensor): void => {
    const value = { name: g.unique(name), dtype: tensor.dtype, shape: tensor.dims };
    given.set(name, value);
    values[value.name] = tensor;
  };
  const inputs = float32Feeds(feeds);
  for (const { name } of graph.inputs) give(name, inputs[name]);
  for (const [name, tensor] of graph.parameters) give(name, tensor);
  const forward = emitForward(g, graph, given, { batchNorm: 'frozen', update: () => {} }, specOf);
  return { forward, values };
}

/** @returns the wanted parameters from which a node is reached that has no gradient. */
function reaching({ tape, values }: Forward, { place }: CgesError, wanted: readonly string[]): string[] {
  const at = tape.findIndex(({ node }) => node.name === place.node);
  if (at < 0) return [];
  const before = new Set(tape[at].inputs.flatMap((v) => v?.name ?? []));
  for (const { inputs, outputs } of tape.slice(0, at).reverse()) {
    if (outputs.some((v) => v && before.has(v.name))) for (const v of inputs) if (v) before.add(v.name);
  }
  return wanted.filter((name) => before.has(values.get(name)!.name));
}
