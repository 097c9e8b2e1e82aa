import { bodyKey } from '../onnx/bodies.js';
import { bodiesOf, capturesOf, readsOf } from '../onnx/graph.js';
import type { ModelProto, NodeProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { tensorDims, tensorOf } from '../onnx/tensors.js';
import { weightsOf } from '../onnx/weights.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import { exposed } from './expose.js';
import type { Bodies } from './flat.js';
import { type Observation, openProbe, type Probe } from './probe.js';
import { transposedWeights } from './transposed.js';
import { isControlFlow, scanLayout } from './unroll.js';

/** What runs tell of the values inside bodies, besides all others. */
export interface Inside {
  readonly bodies: Bodies;
  /** The model that shows them. */
  readonly model: ModelProto;
  readonly probe: Probe;
  /** In the order in which runs were asked for. */
  readonly seen: readonly Observation[];
}

type Feeds = Parameters<Probe['run']>[0];

/**
 * Looks into the bodies of a model, from the outside inwards: runs each of them beside the model, whether a branch is taken
 * or not, and a loop's for its first iteration. Those that do not run on these inputs stay closed.
 * @param runs the inputs of every run
 * @param before what was found of a model of the same graph
 */
export async function lookInside(file: OnnxFile, runs: readonly Feeds[], before?: Bodies): Promise<Inside | undefined> {
  if (!file.model.graph.node.some(isControlFlow)) return undefined;
  const work = new Looking(file, runs);
  try {
    const same = before && before.entered.size > 0 ? await work.again(before) : undefined;
    return same ?? (await work.deeper());
  } catch (error) {
    await work.close();
    throw error;
  }
}

class Looking {
  private readonly closed = new Map<string, string>();
  private readonly dead = new Set<string>();
  private readonly done = new Set<string>();
  private best: Look | undefined;

  constructor(
    private readonly file: OnnxFile,
    private readonly runs: readonly Feeds[],
  ) {}

  async again(bodies: Bodies): Promise<Inside | undefined> {
    const seen = await look(this.file, bodies.entered, this.runs).catch(() => undefined);
    return seen && { ...seen, bodies };
  }

  async deeper(): Promise<Inside | undefined> {
    await this.take([]);
    for (let open = this.next(); open.length > 0; open = this.next()) {
      for (const { key } of open) this.done.add(key);
      const dead = open.filter((b) => this.dead.has(b.key));
      for (const { key } of dead.filter((b) => !b.holdsWeights)) this.closed.set(key, NEVER);
      const worth = open.filter((b) => !this.dead.has(b.key) || b.holdsWeights).map((b) => b.key);
      await this.take(worth);
    }
    const { best, closed, dead } = this;
    if (!best || best.entered.size === 0) {
      await best?.probe.close();
      this.best = undefined;
      return undefined;
    }
    return { ...best, bodies: { entered: best.entered, closed, dead, counts: countsOf(best) } };
  }

  async close(): Promise<void> {
    await this.best?.probe.close();
  }

  /** Enters those of the bodies that run; most do, together. */
  private async take(keys: readonly string[]): Promise<void> {
    try {
      const next = await look(this.file, new Set([...(this.best?.entered ?? []), ...keys]), this.runs);
      await this.best?.probe.close();
      this.best = next;
    } catch (error) {
      if (keys.length === 0) throw error;
      if (keys.length === 1) {
        this.closed.set(keys[0], `it does not run on the inputs of the analysis: ${firstLine(error)}`);
        return;
      }
      const half = keys.length >> 1;
      await this.take(keys.slice(0, half));
      await this.take(keys.slice(half));
    }
  }

  /** @returns the bodies of the nodes that can be seen by now. */
  private next(): { key: string; holdsWeights: boolean }[] {
    const { best, done, dead } = this;
    const graph = best!.model.graph;
    const producers = new Map(graph.node.flatMap((n) => n.output.map((name) => [name, n] as const)));
    const floats = new Set(weightsOf({ ...graph, node: graph.node.filter((n) => !isControlFlow(n)) }).flatMap(big));
    return graph.node.filter(isControlFlow).flatMap((node) => {
      const settled = node.opType === 'If' ? settledOf(node.input[0], best!, producers) : undefined;
      return bodiesOf(node).flatMap(({ attribute, graph: body }) => {
        const key = bodyKey(node, attribute);
        if (done.has(key)) return [];
        if (settled !== undefined && settled !== (attribute === 'then_branch')) dead.add(key);
        const holdsWeights =
          weightsOf(body).flatMap(big).length > 0 || [...capturesOf(body)].some((c) => floats.has(c));
        return [{ key, holdsWeights }];
      });
    });
  }
}

const NEVER = 'its condition never leads there';

function big({ name, dims }: { readonly name: string; readonly dims: readonly number[] }): string[] {
  return sizeOf(dims) > 1 ? [name] : [];
}

interface Look extends Omit<Inside, 'bodies'> {
  readonly entered: ReadonlySet<string>;
}

async function look(file: OnnxFile, entered: ReadonlySet<string>, runs: readonly Feeds[]): Promise<Look> {
  const { model, unknown } = exposed(file.model, { entered });
  const watched = new Set(model.graph.node.filter(isControlFlow).map((n) => n.input[0]));
  const probe = await openProbe({ ...file, model, unknown, watched, unread: transposedWeights(model.graph) });
  try {
    const seen: Observation[] = [];
    for (const feeds of runs) seen.push(await probe.run(feeds));
    return { entered, model, probe, seen };
  } catch (error) {
    await probe.close();
    throw error;
  }
}

/** @returns how often the bodies ran in the first run, where that can be told. */
function countsOf({ model, seen: [seen], probe }: Look): Map<string, number> {
  const counts = new Map<string, number>();
  const initializers = new Map(model.graph.initializer.map((t) => [t.name ?? '', t]));
  const scalar = (name: string): number | undefined => {
    const proto = initializers.get(name);
    const tensor = proto
      ? tensorOf(proto)
      : (seen.watched.get(name) ?? seen.known.get(name) ?? probe.constants.get(name));
    return tensor && Number(tensor.data[0]);
  };
  for (const node of model.graph.node.filter(isControlFlow)) {
    const first = scalar(node.input[0]);
    for (const { attribute, graph: body } of bodiesOf(node)) {
      const key = bodyKey(node, attribute);
      if (node.opType === 'If') {
        if (first !== undefined) counts.set(key, (first !== 0) === (attribute === 'then_branch') ? 1 : 0);
        continue;
      }
      const { states, axes } =
        node.opType === 'Scan'
          ? { states: scanLayout(node).states, axes: scanLayout(node).outputAxes }
          : { states: body.input.length - 2, axes: [] };
      // What the iterations made lies along an axis of its own.
      const stacked = node.output.slice(states).findIndex((name) => seen.shapes.has(name));
      const shape = stacked < 0 ? undefined : seen.shapes.get(node.output[states + stacked])!;
      const axis = axes[stacked] ?? 0;
      const trips = shape ? shape[axis < 0 ? axis + shape.length : axis] : node.opType === 'Loop' ? first : undefined;
      if (trips !== undefined) counts.set(key, trips);
    }
  }
  return counts;
}

/** Larger values are no sizes. */
const MOST_SIZES = 256;

/**
 * @returns what a condition is whatever the inputs are: it follows from sizes that never change. What is made of free sizes
 * may come out the same in all runs (more than 16 rows) and yet be another for others.
 */
function settledOf(name: string, { seen, probe, model }: Look, producers: Producers): boolean | undefined {
  const initializers = new Map(model.graph.initializer.map((t) => [t.name ?? '', t]));
  const known = (value: string): readonly Tensor[] | undefined => {
    const proto = initializers.get(value);
    const constant = proto && sizeOf(tensorDims(proto)) <= MOST_SIZES ? tensorOf(proto) : probe.constants.get(value);
    if (constant) return [constant];
    const found = seen.map((s) => s.known.get(value));
    return found.every((t) => t !== undefined && t.data.length <= MOST_SIZES) ? (found as Tensor[]) : undefined;
  };
  const text = ({ dims, data }: Tensor): string => `${dims}: ${Array.from(data as ArrayLike<unknown>).join()}`;
  const isSettled = (value: string): boolean => {
    const found = known(value);
    const node = producers.get(value);
    if (!found || found.some((t) => text(t) !== text(found[0]))) return false;
    const isDecision = found[0].dtype === 'bool' || node?.opType === 'Cast';
    return !isDecision || !node || readsOf(node).every(isSettled);
  };
  return isSettled(name) ? Number(known(name)![0].data[0]) !== 0 : undefined;
}

type Producers = ReadonlyMap<string, NodeProto>;

function firstLine(error: unknown): string {
  const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
