import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { plainTable, right } from '../src/report/table.js';
import { encodeModel } from '../src/onnx/write.js';
import { toOrt } from '../src/runtime/session.js';
import { int64, type Tensor } from '../src/tensor/tensor.js';
import type { StepGraph } from '../src/train/engine.js';
import { loopModel } from '../src/train/loop.js';
import { stepModel } from '../src/train/resident.js';
import { short } from './netFigures.js';
import { loops } from '../src/train/engines.js';
import type { Place } from './place.js';

/** What onnxruntime's profile says of one provider. */
export interface Placement {
  readonly provider: string;
  /** Nodes that ran there at least once. */
  readonly nodes: number;
  /** Of all runs of all nodes. Units: as the host sees them, which on a device is mostly the time of handing over. */
  readonly ms: number;
  /** Operators with their numbers of nodes, most frequent first. */
  readonly operators: readonly (readonly [op: string, nodes: number])[];
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly dur?: number;
  readonly args?: { readonly op_name?: string; readonly provider?: string; readonly node_index?: string };
}

const KERNEL = '_kernel_time';

/** @param events of an onnxruntime profile @returns where nodes ran, the provider with most nodes first */
export function placementOf(events: readonly ProfileEvent[]): Placement[] {
  const found = new Map<string, { nodes: Map<string, string>; us: number }>();
  for (const { cat, name = '', dur = 0, args } of events) {
    if (cat !== 'Node' || !name.endsWith(KERNEL) || !args?.provider) continue;
    const entry = found.get(args.provider) ?? { nodes: new Map<string, string>(), us: 0 };
    found.set(args.provider, entry);
    // Bodies of Loops count their nodes anew: an index alone is not unique.
    entry.nodes.set(`${name} ${args.node_index ?? ''}`, args.op_name ?? '');
    entry.us += dur;
  }
  return [...found]
    .map(([provider, { nodes, us }]) => ({
      provider,
      nodes: nodes.size,
      ms: us / 1000,
      operators: counted([...nodes.values()]),
    }))
    .sort((a, b) => b.nodes - a.nodes);
}

function counted(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Runs one step with onnxruntime's profiler, as the engine would run it. */
export async function profileStep(
  step: StepGraph,
  state: ReadonlyMap<string, Tensor>,
  feeds: Readonly<Record<string, Tensor>>,
  place: Place,
): Promise<Placement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cges-profile-'));
  const inLoop = place.engine === 'onnxruntime' && loops(place.provider);
  try {
    const session = await InferenceSession.create(encodeModel(inLoop ? loopModel(step) : stepModel(step)), {
      executionProviders: [place.provider],
      logSeverityLevel: 4,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'step'),
    });
    const given = inLoop ? loopInputs(state, feeds) : stepInputs(state, feeds);
    await session.run(Object.fromEntries([...given].map(([name, tensor]) => [name, toOrt(tensor, name)])));
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    return placementOf(JSON.parse(await readFile(join(folder, file), 'utf8')) as ProfileEvent[]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Feeds = Readonly<Record<string, Tensor>>;

function loopInputs(state: ReadonlyMap<string, Tensor>, feeds: Feeds): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>([['steps', int64([], [1])]]);
  for (const [name, tensor] of state) inputs.set(`state:${name}`, tensor);
  for (const [name, tensor] of Object.entries(feeds)) inputs.set(`feed:${name}`, tensor);
  return inputs;
}

/** Feeds have a leading axis of steps, of which there is one. */
function stepInputs(state: ReadonlyMap<string, Tensor>, feeds: Feeds): Map<string, Tensor> {
  const inputs = new Map(state);
  for (const [name, tensor] of Object.entries(feeds)) inputs.set(name, { ...tensor, dims: tensor.dims.slice(1) });
  return inputs;
}

const SHOWN = 6;

export function placementTable(steps: ReadonlyMap<string, readonly Placement[]>): string {
  const table = plainTable(['step of', 'provider', 'nodes', 'ms', 'operators']);
  for (const [name, placements] of steps) {
    for (const { provider, nodes, ms, operators } of placements) {
      const listed = operators.slice(0, SHOWN).map(([op, count]) => `${count} ${op}`);
      const rest = operators.length > SHOWN ? ', …' : '';
      table.push([name, provider, right(`${nodes}`), right(short(ms)), listed.join(', ') + rest]);
    }
  }
  return table.toString();
}
