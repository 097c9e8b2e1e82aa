import { CgesError } from '../errors.js';
import { makeNode } from '../onnx/make.js';
import type { GraphProto, ModelProto, ValueInfoProto } from '../onnx/proto.js';
import { openSession, type Session } from '../runtime/session.js';
import type { DType, Tensor } from '../tensor/tensor.js';
import { type Probed, withGraph, withoutWeights } from './fed.js';
import { staticValues } from './static.js';

/** What one run tells. */
export interface Observation {
  /** Shapes of all tensors that nodes compute. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Contents of those that follow from constants and shapes alone. */
  readonly known: ReadonlyMap<string, Tensor>;
  readonly watched: ReadonlyMap<string, Tensor>;
}

/**
 * A model with a Shape node behind every intermediate value of its top-level graph: each run reads all shapes, and the
 * contents of what follows from constants and shapes alone. Activations are never fetched.
 */
export interface Probe {
  /** Element types of inputs, initializers and computed values (absent: no tensor). */
  readonly dtypes: ReadonlyMap<string, DType>;
  /** Contents of Constant nodes. */
  readonly constants: ReadonlyMap<string, Tensor>;
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Observation>;
  close(): Promise<void>;
}

/** **Throws** MODEL_UNRUNNABLE when onnxruntime cannot load the model as it is. */
export async function openProbe(source: Probed): Promise<Probe> {
  try {
    return await prepare(source, true);
  } catch {
    // Some kernels insist on constant weights.
    return await prepare(source, false);
  }
}

async function prepare(source: Probed, feedWeights: boolean): Promise<Probe> {
  const { model } = source;
  const graph = model.graph;
  const { slim, fed, dtypes, constants, turned } = withoutWeights(source, feedWeights);
  const computed = [...new Set(slim.node.flatMap((n) => n.output.filter((o) => o !== '')))];
  const types = await typesOf(model, slim, computed, source.path);
  for (const [name, dtype] of types) dtypes.set(name, dtype);

  const tensors = computed.filter((name) => types.has(name));
  const fixed = staticValues(graph, { unknown: source.unknown });
  const known = tensors.filter(
    (name) => fixed.has(name) && types.get(name) !== 'bfloat16' && !source.unread?.has(name),
  );
  const shapeOf = new Map(tensors.map((name) => [name, `${name}/shape of`]));
  const watched = tensors.filter((name) => source.watched?.has(name) && !fixed.has(name));
  // What no shape enters is the same in every run, and large where weights are rearranged: it is read once.
  const unchanging = staticValues(graph, { unknown: source.unknown, shapes: false });
  const [always, once] = [known.filter((name) => !unchanging.has(name)), known.filter((name) => unchanging.has(name))];
  const outputs = [...shapeOf.values(), ...known, ...watched];
  if (outputs.length === 0) return nothingComputed(dtypes, constants);
  const probing: GraphProto = {
    ...slim,
    node: [...slim.node, ...tensors.map((name) => makeNode('Shape', [name], [shapeOf.get(name)!]))],
    output: outputs.map(untyped),
    valueInfo: [],
  };
  const session = await openSession(withGraph(model, probing), { optimisation: 'disabled', file: source.path });
  let kept: ReadonlyMap<string, Tensor> | undefined;
  return {
    dtypes,
    constants,
    async run(feeds) {
      const asked = kept ? [...shapeOf.values(), ...always, ...watched] : outputs;
      const answers = await session.run({ ...feeds, ...fed }, asked);
      kept ??= new Map(once.map((name) => [name, answers[name]]));
      return {
        shapes: new Map([
          ...tensors.map(
            (name) => [name, Array.from(answers[shapeOf.get(name)!].data as BigInt64Array, Number)] as const,
          ),
          ...turned,
        ]),
        known: new Map([...kept, ...always.map((name) => [name, answers[name]] as const)]),
        watched: new Map(watched.map((name) => [name, answers[name]])),
      };
    },
    close: () => session.close(),
  };
}

function nothingComputed(dtypes: Probe['dtypes'], constants: Probe['constants']): Probe {
  return {
    dtypes,
    constants,
    run: async () => ({ shapes: new Map(), known: new Map(), watched: new Map() }),
    close: async () => {},
  };
}

function untyped(name: string): ValueInfoProto {
  return { name, metadataProps: [] };
}

/** @returns element types of the named values, as onnxruntime infers them; what is no tensor is left out. */
async function typesOf(
  model: ModelProto,
  graph: GraphProto,
  names: readonly string[],
  file: string | undefined,
): Promise<Map<string, DType>> {
  if (names.length === 0) return new Map();
  let session: Session;
  try {
    const asking: GraphProto = { ...graph, output: names.map(untyped), valueInfo: [] };
    session = await openSession(withGraph(model, asking), { optimisation: 'disabled', threads: { intraOp: 1 }, file });
  } catch (error) {
    // onnxruntime-node cannot name bfloat16 and 8-bit floats: find the values that are such.
    if (!(error instanceof CgesError) || !/Unsupported data type/.test(error.message)) throw error;
    if (names.length === 1) return new Map([[names[0], 'bfloat16']]);
    const half = names.length >> 1;
    const parts = [names.slice(0, half), names.slice(half)];
    const found = await Promise.all(parts.map((part) => typesOf(model, graph, part, file)));
    return new Map(found.flatMap((m) => [...m]));
  }
  const types = new Map<string, DType>();
  for (const port of session.outputs) if (port.dtype) types.set(port.name, port.dtype);
  await session.close();
  return types;
}
