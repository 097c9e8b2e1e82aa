import { makeNode } from './make.js';
import { canonicalDomain, definedIn, graphsFrom, nodesFrom, opsetOf } from './graph.js';
import { toNumber } from './attributes.js';
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto } from './proto.js';
import { type Fresh, freshNames, renamedNode } from './rename.js';

/** What became of the functions that a model's nodes call. */
export interface Inlined {
  readonly model: ModelProto;
  /** Names of those whose nodes stand in the place of their calls now. */
  readonly inlined: readonly string[];
  /** Those that are called as before, and why. */
  readonly left: readonly { readonly name: string; readonly why: string }[];
}

/**
 * Puts the nodes of the model's own functions in the place of their calls. Constants inside a function become
 * initializers that all of its calls share. Names of everything else stay, inputs, outputs, metadata and opsets too.
 *
 * A function of another opset than the model's is called as before: its operators may mean something else there.
 */
export function withoutFunctions(model: ModelProto): Inlined {
  const functions = new Map(model.functions.map((f) => [keyOf(f.domain, f.name, f.overload), f]));
  const called = [...callsIn(model.graph, functions)];
  if (called.length === 0) return { model, inlined: [], left: [] };
  return new Inliner(model, functions).run();
}

function keyOf(domain: string | undefined, name: string | undefined, overload: string | undefined): string {
  return `${canonicalDomain(domain ?? '')}:${name ?? ''}:${overload ?? ''}`;
}

type Functions = ReadonlyMap<string, FunctionProto>;

function functionOf(node: NodeProto, functions: Functions): FunctionProto | undefined {
  return functions.get(keyOf(node.domain, node.opType, node.overload));
}

function* callsIn(graph: Pick<GraphProto, 'node'>, functions: Functions): Generator<FunctionProto> {
  for (const node of nodesFrom(graph)) {
    const called = functionOf(node, functions);
    if (called) yield called;
  }
}

class Inliner {
  private readonly fresh: Fresh;
  private readonly initializer: TensorProto[] = [];
  /** Initializers by function and the name of the constant in it. */
  private readonly constants = new Map<string, string>();
  private readonly reasons = new Map<FunctionProto, string | undefined>();
  private readonly inlined = new Set<FunctionProto>();
  private readonly left = new Set<FunctionProto>();
  private readonly imports;

  constructor(
    private readonly model: ModelProto,
    private readonly functions: Functions,
  ) {
    const taken = new Set<string>();
    for (const { graph } of graphsFrom(model.graph)) {
      for (const name of definedIn(graph)) taken.add(name);
      for (const { name } of graph.output) taken.add(name);
    }
    this.fresh = freshNames(taken);
    this.imports = [...model.opsetImport];
  }

  run(): Inlined {
    const { model } = this;
    const node = model.graph.node.flatMap((n) => this.expanded(n));
    const initializer = [...model.graph.initializer, ...this.initializer];
    const kept = model.functions.filter((f) => !this.inlined.has(f) || this.isLeftIn(f));
    return {
      model: {
        ...model,
        opsetImport: this.imports,
        graph: { ...model.graph, node, initializer },
        functions: kept,
      },
      inlined: [...this.inlined].map((f) => f.name ?? ''),
      left: [...this.left].map((f) => ({ name: f.name ?? '', why: this.reasonFor(f) ?? '' })),
    };
  }

  /** Whether a function that was inlined is called by one that was not. */
  private isLeftIn(f: FunctionProto): boolean {
    const open = [...this.left];
    const visited = new Set<FunctionProto>(open);
    for (let at = open.pop(); at; at = open.pop()) {
      for (const inner of callsIn(at, this.functions)) {
        if (inner === f) return true;
        if (!visited.has(inner)) open.push(inner);
        visited.add(inner);
      }
    }
    return false;
  }

  /** @returns why a function cannot be inlined, undefined where it can. */
  private reasonFor(f: FunctionProto): string | undefined {
    if (!this.reasons.has(f)) this.reasons.set(f, this.checked(f));
    return this.reasons.get(f);
  }

  private checked(f: FunctionProto): string | undefined {
    if (callsItself(f, this.functions)) return 'it calls itself';
    for (const { domain = '', version = 0 } of f.opsetImport) {
      const [own, models] = [toNumber(version), opsetOf(this.model, domain)];
      if (models !== 0 && own !== models && usesDomain(f, domain, this.functions)) {
        const of = canonicalDomain(domain) === '' ? 'opset' : `version of ${domain}`;
        return `it is written in ${of} ${own}, the model in ${models}`;
      }
    }
    return undefined;
  }

  /** @returns the nodes that stand for a node: itself, or those of the function that it calls. */
  private expanded(node: NodeProto): NodeProto[] {
    const f = functionOf(node, this.functions);
    if (!f) return [this.withBodies(node)];
    if (this.reasonFor(f) !== undefined) {
      this.left.add(f);
      return [node];
    }
    this.inlined.add(f);
    for (const { domain = '', version } of f.opsetImport) {
      const known = this.imports.some((i) => canonicalDomain(i.domain ?? '') === canonicalDomain(domain));
      if (!known) this.imports.push({ domain, version });
    }
    return this.called(f, node).flatMap((n) => this.expanded(n));
  }

  private withBodies(node: NodeProto): NodeProto {
    if (!node.attribute.some((a) => a.g || a.graphs.length > 0)) return node;
    const inside = (graph: GraphProto): GraphProto => ({ ...graph, node: graph.node.flatMap((n) => this.expanded(n)) });
    const attribute = node.attribute.map((a) => ({
      ...a,
      ...(a.g && { g: inside(a.g) }),
      graphs: a.graphs.map(inside),
    }));
    return { ...node, attribute };
  }

  /** @returns the nodes of a function under the names of one call. */
  private called(f: FunctionProto, call: NodeProto): NodeProto[] {
    const place = call.name || call.output.find((o) => o !== '') || call.opType;
    const names = new Map<string, string>();
    // An input that a call leaves out has the empty name.
    f.input.forEach((name, i) => names.set(name, call.input[i] ?? ''));
    const passed: NodeProto[] = [];
    const nodes = f.node.filter((n) => {
      const tensor = constantIn(n);
      if (!tensor || f.output.includes(n.output[0])) return true;
      names.set(n.output[0], this.shared(f, n.output[0], tensor));
      return false;
    });
    const made = new Set(nodes.flatMap((n) => n.output));
    f.output.forEach((name, i) => {
      const outer = call.output[i] ?? '';
      if (outer === '') return;
      if (made.has(name) && !names.has(name)) names.set(name, outer);
      else passed.push(makeNode('Identity', [names.get(name) ?? name], [outer], {}, { name: outer }));
    });
    const own: Fresh = (name) => this.fresh(`${place}/${name}`);
    for (const name of made) if (name !== '' && !names.has(name)) names.set(name, own(name));
    const filled = nodes.map((n) => withAttributes(n, f, call));
    const renamed = filled.map((n) => renamedNode(n, names, own));
    return [...renamed.map((n) => ({ ...n, name: n.name ? `${place}/${n.name}` : '' })), ...passed];
  }

  private shared(f: FunctionProto, name: string, tensor: TensorProto): string {
    const key = `${keyOf(f.domain, f.name, f.overload)} ${name}`;
    let given = this.constants.get(key);
    if (given === undefined) {
      given = this.fresh(`${f.name}/${name}`);
      this.constants.set(key, given);
      this.initializer.push({ ...tensor, name: given });
    }
    return given;
  }
}

/** @returns the tensor of a Constant node, where the file holds it as one. */
function constantIn(node: NodeProto): TensorProto | undefined {
  if (node.opType !== 'Constant' || canonicalDomain(node.domain ?? '') !== '') return undefined;
  const [value] = node.attribute;
  return node.attribute.length === 1 && value.name === 'value' && !value.refAttrName ? value.t : undefined;
}

/** @returns a node of a function with the attributes of the call, or their defaults, where it refers to them. */
function withAttributes(node: NodeProto, f: FunctionProto, call: NodeProto): NodeProto {
  const attribute = node.attribute.flatMap((a): AttributeProto[] => {
    if (a.refAttrName) {
      const given =
        call.attribute.find((b) => b.name === a.refAttrName) ?? f.attributeProto.find((b) => b.name === a.refAttrName);
      return given ? [{ ...given, name: a.name }] : [];
    }
    if (!a.g && a.graphs.length === 0) return [a];
    const inside = (graph: GraphProto): GraphProto => ({
      ...graph,
      node: graph.node.map((n) => withAttributes(n, f, call)),
    });
    return [{ ...a, ...(a.g && { g: inside(a.g) }), graphs: a.graphs.map(inside) }];
  });
  return { ...node, attribute };
}

function usesDomain(f: FunctionProto, domain: string, functions: Functions): boolean {
  for (const node of nodesFrom(f)) {
    const same = canonicalDomain(node.domain ?? '') === canonicalDomain(domain);
    if (same && !functionOf(node, functions)) return true;
  }
  return false;
}

function callsItself(f: FunctionProto, functions: Functions): boolean {
  const visited = new Set<FunctionProto>();
  const open = [...callsIn(f, functions)];
  for (let at = open.pop(); at; at = open.pop()) {
    if (at === f) return true;
    if (visited.has(at)) continue;
    visited.add(at);
    open.push(...callsIn(at, functions));
  }
  return false;
}
