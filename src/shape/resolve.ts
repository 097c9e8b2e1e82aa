import { Attributes, toNumber } from '../onnx/attributes.js';
import { bodiesOf, capturesOf, definedIn, graphsFrom, opsetOf, sortedNodes } from '../onnx/graph.js';
import { makeNode, makeValueInfo } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto } from '../onnx/proto.js';
import { bodyKey, isConstant, lifted } from '../onnx/bodies.js';
import { freshNames } from '../onnx/rename.js';
import { tensorOf } from '../onnx/tensors.js';
import { constantOf } from '../onnx/weights.js';
import { openSession } from '../runtime/session.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Probed } from './fed.js';
import { inlined } from './fed.js';
import { staticValues } from './static.js';
import { isControlFlow, scanLayout, tooLong, type Unrolled, unrolledLoop, unrolledScan } from './unroll.js';

/*
 * Comes in: a model, and inputs of the sizes that it is trained with. Goes out: the same computation at these sizes
 * without the control flow that is known beforehand: of an If the branch that is taken, of a Loop or Scan its body as often as
 * it runs. What depends on data stays.
 */

export interface Resolved {
  readonly model: ModelProto;
  readonly notes: readonly string[];
  /** Why weights of the model are not in the resolved one, by name. */
  readonly dropped: ReadonlyMap<string, string>;
  /** Values that the first iterations of loops begin with: what is made of them is not known beforehand. */
  readonly starts: ReadonlySet<string>;
}

export interface ResolveSource extends Probed {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Inputs that are the same whenever the model is trained: a sampling rate. */
  readonly given: ReadonlySet<string>;
  /** Tells of an If whether both of its branches run on any inputs, and give tensors of the same shapes. */
  selects?(node: NodeProto): boolean;
}

/** How deep control flow may be nested. */
const MOST_ROUNDS = 32;

export async function resolved(source: ResolveSource): Promise<Resolved> {
  const { model } = source;
  if (!model.graph.node.some(isControlFlow)) return { model, notes: [], dropped: new Map(), starts: new Set() };
  const work = new Resolution(source);
  for (let round = 0; round < MOST_ROUNDS && (await work.round()); round++);
  return work.result();
}

/** Where a constant of a body lies: keys of the bodies around it, from the outside inwards. */
type Homes = Map<string, readonly string[]>;

function homesOf(graph: GraphProto, home: readonly string[] = [], homes: Homes = new Map()): Homes {
  for (const node of graph.node) {
    for (const { attribute, graph: body } of bodiesOf(node)) {
      const own = [...home, bodyKey(node, attribute)];
      for (const t of body.initializer) homes.set(t.name ?? '', own);
      for (const n of body.node) if (isConstant(n)) homes.set(n.output[0], own);
      homesOf(body, own, homes);
    }
  }
  return homes;
}

class Resolution {
  private readonly fresh;
  private readonly notes: string[] = [];
  private readonly dropped = new Map<string, string>();
  private readonly stuck = new Map<NodeProto, string>();
  private readonly homes: Homes;
  private model: ModelProto;
  private readonly starts = new Set<string>();
  private guards = 0;

  constructor(private readonly source: ResolveSource) {
    const { model } = source;
    this.homes = homesOf(model.graph);
    // Initializers that come up from bodies are no inputs, as they would have to be before IR 4.
    this.model = { ...model, irVersion: Math.max(toNumber(model.irVersion ?? 0), 4) };
    const taken = new Set<string>();
    for (const { graph } of graphsFrom(model.graph)) for (const name of definedIn(graph)) taken.add(name);
    this.fresh = freshNames(taken);
  }

  /** Resolves what is known in the main graph; bodies come up into it. @returns whether there was any. */
  async round(): Promise<boolean> {
    const { graph } = this.model;
    const fixed = staticValues(graph);
    const known = staticValues(graph, { given: this.source.given });
    const open = graph.node.filter((n) => isControlFlow(n) && !this.stuck.has(n));
    const asked = new Map(open.map((n) => [n, this.source.selects?.(n) ? [] : questionsOf(n, known)]));
    for (const n of open) if (known.has(n.input[0]) && n.opType === 'If') asked.set(n, [n.input[0]]);
    for (const [node, question] of asked) if (typeof question === 'string') this.stuck.set(node, question);
    const answers = await this.answers([...asked.values()].flatMap((q) => (typeof q === 'string' ? [] : q)));
    let any = false;
    const initializer = [...graph.initializer];
    const node = graph.node.flatMap((n) => {
      const question = asked.get(n);
      if (question === undefined || typeof question === 'string') return [n];
      const found = this.replacement(n, answers, fixed);
      if (typeof found === 'string') {
        this.stuck.set(n, found);
        return [n];
      }
      any = true;
      initializer.push(...found.initializer);
      return found.nodes;
    });
    if (any) this.model = { ...this.model, graph: { ...graph, node, initializer } };
    return any;
  }

  result(): Resolved {
    const { notes, guards } = this;
    if (guards > 0)
      notes.push(`${guards} If whose conditions are constant are trained as the branches that these take`);
    for (const [node, why] of this.stuck) {
      const name = nameOf(node);
      notes.push(`${node.opType} '${name}' is not taken apart: ${why}`);
      const told = `inside ${node.opType} '${name}': ${why}`;
      for (const { attribute, graph } of bodiesOf(node)) {
        this.drop(node, attribute, told);
        for (const captured of capturesOf(graph)) if (!this.dropped.has(captured)) this.dropped.set(captured, told);
      }
    }
    return { model: this.model, notes, dropped: this.dropped, starts: this.starts };
  }

  private replacement(
    node: NodeProto,
    answers: ReadonlyMap<string, Tensor>,
    fixed: ReadonlySet<string>,
  ): Unrolled | string {
    const context = { opset: opsetOf(this.model), fresh: this.fresh };
    const numberOf = (name: string): number => Number(answers.get(name)?.data[0] ?? 0);
    const { body, trips } = loopOf(node, answers);
    if (body === undefined && !answers.has(node.input[0])) return this.both(node);
    if (body === undefined) return this.branch(node, numberOf(node.input[0]) !== 0, fixed.has(node.input[0]));
    const long = tooLong(body, trips);
    if (long !== undefined) return long;
    const { node: bare, constants, initializer } = lifted(node);
    const found = node.opType === 'Loop' ? unrolledLoop(bare, trips, context) : unrolledScan(bare, trips, context);
    if (typeof found === 'string') return found;
    const times = trips === 1 ? '1 iteration' : `${trips} iterations`;
    const isGiven = typeof questionsOf(node, fixed) === 'string';
    this.notes.push(
      `${node.opType} '${nameOf(node)}' is trained as ${times}${isGiven ? ', as the inputs given tell' : ''}`,
    );
    for (const name of found.starts) this.starts.add(name);
    return {
      nodes: [...constants, ...found.nodes],
      initializer: [...initializer, ...found.initializer],
      starts: found.starts,
    };
  }

  private branch(node: NodeProto, condition: boolean, isConstant: boolean): Unrolled {
    const attrs = new Attributes(node);
    const [taken, other] = condition ? ['then_branch', 'else_branch'] : ['else_branch', 'then_branch'];
    const name = nameOf(node);
    if (isConstant) this.guards++;
    else this.notes.push(`If '${name}' is trained as its ${taken}, which it takes for the inputs given`);
    const body = attrs.graph(taken)!;
    this.drop(node, other, `in the ${other} of If '${name}', which is not taken`);
    const outputs = node.output.flatMap((to, k) =>
      to === '' ? [] : [makeNode('Identity', [body.output[k].name], [to], {}, { name: to })],
    );
    return { nodes: [...sortedNodes(body), ...outputs], initializer: body.initializer, starts: [] };
  }

  /** Both branches run, and the condition picks what one of them gives. */
  private both(node: NodeProto): Unrolled {
    const attrs = new Attributes(node);
    const [then, otherwise] = ['then_branch', 'else_branch'].map((name) => attrs.graph(name)!);
    this.notes.push(`If '${nameOf(node)}' is trained as both of its branches: its condition depends on data`);
    const picks = node.output.flatMap((to, k) => {
      const input = [node.input[0], then.output[k].name, otherwise.output[k].name];
      return to === '' ? [] : [makeNode('Where', input, [to], {}, { name: nameOf(node) })];
    });
    return {
      nodes: [...sortedNodes(then), ...sortedNodes(otherwise), ...picks],
      initializer: [...then.initializer, ...otherwise.initializer],
      starts: [],
    };
  }

  /** Notes why the constants of a body are not trained. */
  private drop(node: NodeProto, attribute: string, why: string): void {
    const key = bodyKey(node, attribute);
    for (const [name, home] of this.homes)
      if (home.includes(key) && !this.dropped.has(name)) this.dropped.set(name, why);
  }

  /** @returns the contents of the named values in a run. */
  private async answers(names: readonly string[]): Promise<Map<string, Tensor>> {
    const found = new Map<string, Tensor>();
    const { graph } = this.model;
    const { folder, feeds, path } = this.source;
    for (const t of graph.initializer) if (names.includes(t.name ?? '')) found.set(t.name ?? '', tensorOf(t, folder));
    for (const n of graph.node) {
      const value = names.includes(n.output[0]) ? constantOf(n, folder) : undefined;
      if (value) found.set(n.output[0], value);
    }
    for (const name of names) if (feeds[name]) found.set(name, feeds[name]);
    const open = [...new Set(names)].filter((name) => name !== '' && !found.has(name));
    if (open.length === 0) return found;
    const sized = open.filter((name) => name.startsWith(SIZE_OF));
    const asking: GraphProto = {
      ...graph,
      node: [
        ...graph.node.map((n) => {
          const name = `${RUNS_OF}${n.output.join(' ')}`;
          return open.includes(name) ? counting(n, name) : n;
        }),
        ...sized.map((name) => makeNode('Shape', [name.slice(SIZE_OF.length)], [name])),
      ],
      output: open.map((name) => ({ name, metadataProps: [] })),
      valueInfo: [],
    };
    const model = inlined({ model: { ...this.model, graph: asking }, folder });
    const session = await openSession(model, { optimisation: 'disabled', file: path });
    try {
      for (const [name, tensor] of Object.entries(await session.run(feeds))) found.set(name, tensor);
    } finally {
      await session.close();
    }
    return found;
  }
}

/** Before the name of a value whose sizes are asked for. */
const SIZE_OF = 'sizes of ';
/** Before the outputs of a Loop whose iterations are counted. */
const RUNS_OF = 'runs of ';

/** @returns the values that tell how a node runs, or why nothing can. */
function questionsOf(node: NodeProto, known: ReadonlySet<string>): string[] | string {
  const { opType, input } = node;
  if (opType === 'If') return known.has(input[0]) ? [input[0]] : 'its condition depends on data';
  if (opType === 'Scan') {
    return [`${SIZE_OF}${input[scanLayout(node).states]}`];
  }
  const [trips = '', condition = ''] = input;
  if (trips !== '' && !known.has(trips)) return 'how often it runs depends on data';
  if (condition !== '' && !known.has(condition)) return 'whether it runs depends on data';
  if (!endsByItself(node, known)) return 'it ends by a condition that depends on data';
  return [`${RUNS_OF}${node.output.join(' ')}`];
}

/** Whether the condition of a Loop follows from what is known, in every iteration. */
function endsByItself(node: NodeProto, known: ReadonlySet<string>): boolean {
  const body = new Attributes(node).graph('body')!;
  const [iteration, condition, ...carried] = body.input.map((i) => i.name);
  const outside = [...capturesOf(body)].filter((name) => known.has(name));
  let states = carried.map((_, k) => known.has(node.input[2 + k]));
  for (;;) {
    const given = [...outside, iteration, condition, ...carried.filter((_, k) => states[k])];
    const fixed = staticValues(body, { given });
    const next = states.map((s, k) => s && fixed.has(body.output[1 + k].name));
    if (next.every((s, k) => s === states[k])) return fixed.has(body.output[0].name);
    states = next;
  }
}

/** @returns a Loop with the numbers of its iterations as one more output. */
function counting(node: NodeProto, name: string): NodeProto {
  const attribute = node.attribute.map((a) => {
    if (!a.g) return a;
    const number = makeNode('Identity', [a.g.input[0].name], [name]);
    const output = [...a.g.output, makeValueInfo(name, 'int64', [])];
    return { ...a, g: { ...a.g, node: [...a.g.node, number], output } };
  });
  const scanned = node.output.length;
  const { length } = new Attributes(node).graph('body')!.output;
  const omitted = new Array<string>(length - 1 - scanned).fill('');
  return { ...node, output: [...node.output, ...omitted, name], attribute };
}

/** @returns the body that runs so many times; none for an If. */
function loopOf(node: NodeProto, answers: ReadonlyMap<string, Tensor>): { body?: GraphProto; trips: number } {
  const { opType, input } = node;
  if (opType === 'If') return { trips: 1 };
  if (opType === 'Scan') {
    const { body, states, inputAxes } = scanLayout(node);
    const sizes = answers.get(`${SIZE_OF}${input[states]}`)!.data;
    return { body, trips: Number(sizes[inputAxes[0] < 0 ? sizes.length + inputAxes[0] : inputAxes[0]]) };
  }
  const runs = answers.get(`${RUNS_OF}${node.output.join(' ')}`)!;
  return { body: new Attributes(node).graph('body')!, trips: runs.data.length };
}

function nameOf(node: NodeProto): string {
  return node.name || (node.output.find((o) => o !== '') ?? node.opType);
}
