import { bodyKey } from '../onnx/bodies.js';
import { makeAttribute } from '../onnx/attributes.js';
import { bodiesOf, capturesOf, definedIn, nodesFrom, sortedNodes } from '../onnx/graph.js';
import { makeNode } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../onnx/proto.js';
import { FLOW } from '../ops/flow.js';
import { isControlFlow, scanLayout } from './unroll.js';

/** What is known of the bodies of a model, by {@link bodyKey}. */
export interface Bodies {
  /** Those whose nodes channel rules see. */
  readonly entered: ReadonlySet<string>;
  /** Why others are not entered. */
  readonly closed: ReadonlyMap<string, string>;
  /** Those that no input at all leads into. */
  readonly dead: ReadonlySet<string>;
  /** How often a body runs where the node around it runs once, in the run that was looked at. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * @returns the model with the nodes of the bodies that are entered in its main graph, each once, and nodes of control flow
 * (see `ops/flow.ts`) where values go in and come out: it is not to be run, but to be looked at and cut. Without such
 * bodies it is the model itself.
 */
export function flattened(model: ModelProto, bodies: Bodies): ModelProto {
  if (bodies.entered.size === 0) return model;
  const { graph } = model;
  const flat: GraphProto = {
    ...graph,
    node: [],
    initializer: [...graph.initializer],
    sparseInitializer: [...graph.sparseInitializer],
    valueInfo: [...graph.valueInfo],
  };
  new Flattening(flat, bodies).add(graph);
  return { ...model, graph: flat };
}

/** @returns how often nodes inside bodies run in one run of the model. */
export function runCounts(
  graph: Pick<GraphProto, 'node'>,
  bodies: Pick<Bodies, 'counts'>,
  factor = 1,
): Map<NodeProto, number> {
  const found = new Map<NodeProto, number>();
  for (const node of graph.node) {
    if (factor !== 1) found.set(node, factor);
    for (const { attribute, graph: body } of bodiesOf(node)) {
      const inner = runCounts(body, bodies, factor * (bodies.counts.get(bodyKey(node, attribute)) ?? 1));
      for (const [n, runs] of inner) found.set(n, runs);
    }
  }
  return found;
}

class Flattening {
  constructor(
    private readonly flat: GraphProto,
    private readonly bodies: Bodies,
  ) {}

  add(graph: Pick<GraphProto, 'node'>): void {
    for (const node of sortedNodes(graph)) {
      const own = isControlFlow(node) ? bodiesOf(node).filter((b) => this.isEntered(node, b.attribute)) : [];
      if (own.length === 0) this.flat.node.push(node);
      else if (node.opType === 'If') this.branches(node, own);
      else this.loop(node, own[0].graph);
    }
  }

  private isEntered(node: NodeProto, attribute: string): boolean {
    return this.bodies.entered.has(bodyKey(node, attribute));
  }

  private enter(body: GraphProto): void {
    const { flat } = this;
    flat.initializer.push(...body.initializer);
    flat.sparseInitializer.push(...body.sparseInitializer);
    flat.valueInfo.push(...body.valueInfo, ...body.input, ...body.output);
    this.add(body);
  }

  private branches(node: NodeProto, entered: ReturnType<typeof bodiesOf>): void {
    for (const { graph } of entered) this.enter(graph);
    const input = [node.input[0]];
    const extra = new Set<string>();
    const attribute = node.attribute.filter((a) => !a.g);
    const reasons: string[] = [];
    ['then_branch', 'else_branch'].forEach((name, b) => {
      const key = bodyKey(node, name);
      const body = node.attribute.find((a) => a.name === name)?.g;
      const isOpen = entered.some((e) => e.attribute === name);
      for (let k = 0; k < node.output.length; k++) input.push(isOpen ? (body?.output[k]?.name ?? '') : '');
      if (this.bodies.dead.has(key)) attribute.push(makeAttribute('dead', b));
      if (isOpen || !body) return;
      reasons.push(`its ${name} is not followed: ${this.bodies.closed.get(key) ?? 'nothing is known of it'}`);
      if (this.bodies.dead.has(key)) for (const captured of capturesOf(body)) extra.add(captured);
      else attribute.push({ ...makeAttribute(name, 0), type: 5, i: undefined, g: body });
    });
    attribute.push(makeAttribute('closed', reasons.join('; ')));
    this.flat.node.push({ ...node, domain: FLOW, input: [...input, ...extra], attribute });
  }

  private loop(node: NodeProto, body: GraphProto): void {
    const inner = body.input.map((i) => i.name);
    const made = body.output.map((o) => o.name);
    const first = node.opType === 'Loop' ? 2 : 0;
    const scan = node.opType === 'Scan' ? scanLayout(node) : undefined;
    const states = scan?.states ?? inner.length - 2;
    const stacked = new Array<number>(Math.max(0, node.output.length - states)).fill(0);
    const layout = { first, states, inputs: inner.length };
    const more = { name: node.name ?? '', domain: FLOW };
    const given = [...node.input, ...new Array<string>(Math.max(0, inner.length - node.input.length)).fill('')];
    const into = { ...layout, part: 'enter', axes: scan?.inputAxes ?? [] };
    const out = { ...layout, part: 'leave', axes: scan?.outputAxes ?? stacked };
    this.flat.node.push(makeNode(node.opType, given, inner, into, more));
    this.enter(body);
    this.flat.node.push(makeNode(node.opType, [...inner, ...made], node.output, out, more));
  }
}

/**
 * Puts the nodes of a flat graph that was cut back into the bodies where they came from.
 * @param original the graph that was flattened
 */
export function restored(original: GraphProto, cut: GraphProto): GraphProto {
  return new Restoring(original, cut).result();
}

class Restoring {
  /** The body that defines a value; values of the main graph are not there. */
  private readonly homes = new Map<string, GraphProto>();
  /** Nodes with bodies, by what they make. */
  private readonly owners = new Map<string, NodeProto>();
  private readonly inside = new Map<GraphProto | undefined, NodeProto[]>();
  private readonly entries = new Map<string, NodeProto>();
  private readonly infos: Map<string, ValueInfoProto>;

  constructor(
    private readonly original: GraphProto,
    private readonly cut: GraphProto,
  ) {
    this.note(original);
    this.infos = new Map(cut.valueInfo.toReversed().map((v) => [v.name, v]));
    const readers = new Map<string, GraphProto | undefined>();
    for (const node of cut.node.toReversed()) {
      // What was put before or behind a node lies where that one lies.
      const known = node.output.find((name) => this.homes.has(name) || this.isOutside(name));
      const home = known !== undefined ? this.homes.get(known) : readers.get(node.output[0]);
      if (node.domain === FLOW && isEntry(node)) {
        this.entries.set(node.output[0], node);
        continue;
      }
      if (node.domain !== FLOW) for (const name of node.input) readers.set(name, home);
      this.inside.set(home, [node, ...(this.inside.get(home) ?? [])]);
    }
  }

  result(): GraphProto {
    const { original, cut } = this;
    const outside = new Set(original.valueInfo.map((v) => v.name));
    return {
      ...cut,
      node: this.nodesOf(undefined),
      initializer: cut.initializer.filter((t) => !this.homes.has(t.name ?? '')),
      sparseInitializer: cut.sparseInitializer.filter((t) => !this.homes.has(t.values?.name ?? '')),
      valueInfo: cut.valueInfo.filter((v) => outside.has(v.name) && !this.homes.has(v.name)),
    };
  }

  private readonly outside = new Set<string>();

  private isOutside(name: string): boolean {
    return this.outside.has(name);
  }

  private note(graph: GraphProto, isBody = false): void {
    for (const name of definedIn(graph)) {
      if (isBody) this.homes.set(name, graph);
      else this.outside.add(name);
    }
    for (const node of graph.node) {
      for (const { graph: body } of bodiesOf(node)) {
        this.owners.set(node.output.join(' '), node);
        this.note(body, true);
      }
    }
  }

  private nodesOf(home: GraphProto | undefined): NodeProto[] {
    return (this.inside.get(home) ?? []).map((n) => (n.domain === FLOW ? this.whole(n) : n));
  }

  /** @returns the node that a node of control flow stands for. */
  private whole(flow: NodeProto): NodeProto {
    const node = this.owners.get(flow.output.join(' '))!;
    const count = node.output.length;
    if (node.opType === 'If') {
      const attribute = node.attribute.map((a) => {
        const from = 1 + (a.name === 'then_branch' ? 0 : count);
        const made = flow.input.slice(from, from + count);
        const isOpen = a.g && made.some((name) => name !== '');
        return isOpen ? { ...a, g: this.body(a.g!, made) } : a;
      });
      return { ...node, input: [flow.input[0]], attribute };
    }
    const attribute = node.attribute.map((a) =>
      a.g ? { ...a, g: this.body(a.g, flow.input.slice(a.g.input.length)) } : a,
    );
    const body = bodiesOf(node)[0].graph;
    const entry = this.entries.get(body.input[0]?.name ?? '');
    return { ...node, input: entry ? entry.input.slice(0, node.input.length) : node.input, attribute };
  }

  /** @param made names of the body's outputs */
  private body(body: GraphProto, made: readonly string[]): GraphProto {
    const { cut, homes } = this;
    const info = (v: ValueInfoProto): ValueInfoProto => this.infos.get(v.name) ?? v;
    const node = this.nodesOf(body);
    const initializer = cut.initializer.filter((t) => homes.get(t.name ?? '') === body);
    const own = new Set([
      ...body.input.map((i) => i.name),
      ...initializer.map((t) => t.name ?? ''),
      ...node.flatMap((n) => n.output),
    ]);
    const output = body.output.map((o, k) => {
      // A body cannot give back a value of the graphs around it.
      if (made[k] !== o.name && !own.has(made[k])) node.push(makeNode('Identity', [made[k]], [o.name]));
      return { ...info(o), name: own.has(made[k]) ? made[k] : o.name };
    });
    return {
      ...body,
      node,
      initializer,
      sparseInitializer: cut.sparseInitializer.filter((t) => homes.get(t.values?.name ?? '') === body),
      input: body.input.map(info),
      output,
      valueInfo: body.valueInfo.filter((v) => this.infos.has(v.name)).map(info),
    };
  }
}

function isEntry({ attribute }: NodeProto): boolean {
  const part = attribute.find((a) => a.name === 'part')?.s;
  return part !== undefined && new TextDecoder().decode(part) === 'enter';
}

/** @returns the keys of all bodies of a graph's control flow, outer ones first, each with the key of the body around it. */
export function bodyKeys(graph: Pick<GraphProto, 'node'>, outer?: string): { key: string; outer?: string }[] {
  return graph.node.flatMap((node) => {
    if (!isControlFlow(node)) return [];
    return bodiesOf(node).flatMap(({ attribute, graph: body }) => {
      const key = bodyKey(node, attribute);
      return [{ key, ...(outer !== undefined && { outer }) }, ...bodyKeys(body, key)];
    });
  });
}

/** @returns whether a model has control flow at all. */
export function hasControlFlow(model: ModelProto): boolean {
  for (const node of nodesFrom(model.graph)) if (isControlFlow(node)) return true;
  return false;
}
