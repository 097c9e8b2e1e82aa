import { CgesError } from '../errors.js';
import { readsOf } from '../onnx/graph.js';
import type { NodeProto } from '../onnx/proto.js';
import { specOf } from '../ops/index.js';
import type { NormaliseContext } from '../ops/spec.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import { type DType, dtypeCodes, type Tensor } from '../tensor/tensor.js';
import type { WeightUse } from './trained.js';
import type { Clone } from './training-graph.js';

export interface CanonicalSource {
  /** Nodes to convert, in topological order. */
  readonly live: readonly NodeProto[];
  readonly uses: readonly WeightUse[];
  readonly clones: readonly Clone[];
  readonly places: ReadonlyMap<NodeProto, number>;
  readonly producers: ReadonlyMap<string, NodeProto>;
  readonly fixed: ReadonlySet<string>;
  contents(name: string): Tensor;
  dtypeOf(name: string): DType | undefined;
  shape(name: string): readonly number[] | undefined;
  opsetOf(domain: string): number;
  fresh(hint: string): string;
}

export interface CanonicalForm {
  readonly nodes: NodeProto[];
  /** Folded values and what rules added. */
  readonly constants: Map<string, Tensor>;
  /** Initializers that nodes read under their own or a clone's name. */
  readonly roots: ReadonlyMap<string, Tensor>;
  readonly state: ReadonlySet<string>;
  /** @returns the name under which a use reads its constant. */
  nameOf(use: WeightUse): string;
  /** @returns the name that a value has after Identity and casts between floats are gone. */
  resolve(name: string): string;
}

/**
 * Rewrites nodes into opset-18 form, all floats as float32, and folds what is known.
 *
 * **Throws** NO_GRADIENT for operators that a training graph cannot hold.
 */
export function canonicalForm(source: CanonicalSource): CanonicalForm {
  const nodes: NodeProto[] = [];
  const constants = new Map<string, Tensor>();
  const roots = new Map<string, Tensor>();
  const state = new Set<string>();
  const aliases = new Map<string, string>();
  const emitted = new Set<NodeProto>();
  const sequences = new Map<string, readonly string[]>();
  const cloneNames = new Map(source.clones.map((c) => [`${c.node}:${c.input}`, c.name]));
  const useAt = new Map<NodeProto, Map<number, WeightUse[]>>();
  for (const use of source.uses) {
    const inputs = useAt.get(use.node) ?? new Map<number, WeightUse[]>();
    useAt.set(use.node, inputs.set(use.input, [...(inputs.get(use.input) ?? []), use]));
  }
  const trainedRoots = new Set(source.uses.filter((u) => u.trained).map((u) => u.root));

  const resolve = (name: string): string => {
    let end = name;
    for (let next = aliases.get(end); next !== undefined; next = aliases.get(end)) end = next;
    return end;
  };
  const nameOf = (use: WeightUse): string => cloneNames.get(`${source.places.get(use.node)}:${use.input}`) ?? use.root;

  const context = (opset: number): NormaliseContext => ({
    opset,
    shape: (name) => constants.get(name)?.dims ?? roots.get(name)?.dims ?? source.shape(name),
    known: (name) => constants.get(name) ?? (source.fixed.has(name) ? source.contents(name) : undefined),
    constant: (tensor) => {
      const name = source.fresh('const');
      constants.set(name, asFloat32(tensor));
      return name;
    },
    fresh: source.fresh,
    elements: (sequence) => sequences.get(sequence),
    holds: (sequence, elements) => void sequences.set(sequence, elements),
  });

  /** Reads a value that is known beforehand: folded, but for the way from a trained weight to its reader. */
  const fixedInput = (name: string, uses: readonly WeightUse[] = []): string => {
    const [use] = uses;
    if (use && (use.state || use.path.length === 0 || uses.some((u) => trainedRoots.has(u.root)))) {
      for (const u of uses) roots.set(nameOf(u), asFloat32(source.contents(u.root)));
      const root = nameOf(use);
      if (use.path.length === 0 || root !== use.root || use.path.every((n) => n.opType === 'Identity')) return root;
      for (const node of use.path) emit(node);
      return resolve(name);
    }
    if (!constants.has(name)) constants.set(name, asFloat32(source.contents(name)));
    return name;
  };

  const emit = (node: NodeProto): void => {
    if (emitted.has(node)) return;
    emitted.add(node);
    const uses = useAt.get(node);
    const onPath = source.fixed.has(node.output[0]);
    const input = node.input.map((name, i) => {
      if (name === '') return '';
      if (onPath && (i === 0 || node.opType === 'Concat')) return rootOrAlias(name);
      return source.fixed.has(name) ? fixedInput(name, uses?.get(i)) : resolve(name);
    });
    for (const name of readsOf(node)) {
      if (!node.input.includes(name) && source.fixed.has(name)) fixedInput(name);
    }
    const given = inFloat32({ ...node, input });
    const opset = source.opsetOf(node.domain ?? '');
    const rule = specOf(node.opType, node.domain)?.normalise;
    for (const made of rule?.(given, context(opset)) ?? [given]) add(inFloat32(made));
  };

  /** The data input of a rearranging operator on the way from a weight. */
  const rootOrAlias = (name: string): string => {
    if (source.producers.has(name) && source.producers.get(name)!.opType !== 'Constant') return resolve(name);
    roots.set(name, asFloat32(source.contents(name)));
    return name;
  };

  const add = (node: NodeProto): void => {
    if (isNothing(node)) {
      aliases.set(node.output[0], resolve(node.input[0]));
      return;
    }
    const refusal = specOf(node.opType, node.domain)?.training;
    if (refusal) {
      const name = node.name || node.output[0];
      throw new CgesError('NO_GRADIENT', `${node.opType} ${name} cannot be trained: ${refusal.refused}`, {
        node: name,
        op: node.opType,
      });
    }
    // A rule may have put Identity before other nodes of its own.
    const input = node.input.map(resolve);
    if (node.opType === 'BatchNormalization' && !node.domain) for (const s of input.slice(3, 5)) state.add(s);
    nodes.push({ ...node, input });
  };

  const isNothing = (node: NodeProto): boolean => {
    if (node.domain || node.output.length !== 1) return false;
    if (node.opType === 'Identity') return true;
    if (node.opType !== 'Cast' || targetOf(node) !== dtypeCodes.float32) return false;
    const from =
      constants.get(node.input[0])?.dtype ?? roots.get(node.input[0])?.dtype ?? source.dtypeOf(node.input[0]);
    return from !== undefined && isFloat(from);
  };

  for (const node of source.live) emit(node);
  for (const name of state) {
    // Statistics that a rule computed are no stored state.
    if (!constants.has(name) && !roots.has(name)) state.delete(name);
  }
  return { nodes, constants, roots, state, nameOf, resolve };
}

function asFloat32(tensor: Tensor): Tensor {
  return isFloat(tensor.dtype) ? toFloat32(tensor) : tensor;
}

const narrow = new Set<number>([dtypeCodes.float16, dtypeCodes.bfloat16, dtypeCodes.float64]);

function targetOf(node: NodeProto): number {
  return Number(node.attribute.find((a) => a.name === 'to')?.i ?? 0);
}

/** @returns the node with every float type that its attributes name turned into float32. */
function inFloat32(node: NodeProto): NodeProto {
  const named = (name: string) => name === 'to' || name === 'dtype';
  if (!node.attribute.some((a) => named(a.name) && narrow.has(Number(a.i ?? 0)))) return node;
  const attribute = node.attribute.map((a) =>
    named(a.name) && narrow.has(Number(a.i ?? 0)) ? { ...a, i: dtypeCodes.float32 } : a,
  );
  return { ...node, attribute };
}
