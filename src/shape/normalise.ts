import { CgesError } from '../errors.js';
import { bodyKey } from '../onnx/bodies.js';
import { bodiesOf, canonicalDomain, opsetOf, readsOf, sortedNodes } from '../onnx/graph.js';
import type { ModelProto, NodeProto } from '../onnx/proto.js';
import { prepared } from '../onnx/open.js';
import type { OnnxFile } from '../onnx/read.js';
import { tensorDims, tensorOf, tensorType } from '../onnx/tensors.js';
import { constantOf, weightsOf } from '../onnx/weights.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import { type DType, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { Analysis } from './analyse.js';
import { canonicalForm } from './canonical.js';
import { clonesOf } from './clones.js';
import { type FreeInput, isInteger, makeFeeds, shapeAt } from './feeds.js';
import { type Logits, logitsOf } from './logits.js';
import { nameMatcher } from './names.js';
import { type Observation, openProbe, type Probe } from './probe.js';
import { atBatch } from './rebatch.js';
import { resolved } from './resolve.js';
import { staticValues } from './static.js';
import { rootsOf, trainedNotes, type WeightUse, weightUses } from './trained.js';
import type { TrainedNote, TrainingGraph, TrainingInput, TrainingOutput, ValueType } from './training-graph.js';
import { float32Feeds, modelOf } from './training-model.js';
import { agreeWith, noForm, sameOutputs } from './verify.js';

/*
 * Comes in: the user's model, what its runs told, and a batch size. Goes out: the same computation as a training graph
 * - one opset, static shapes, float32, everything folded that follows from constants and shapes alone - proved equal by
 * running both. The user's model is not changed.
 */

export type { Clone, TrainingGraph } from './training-graph.js';

export interface TrainingOptions {
  /** Name patterns of initializers or nodes that are not trained. */
  readonly freeze?: readonly string[];
  /** Name patterns of initializers that are trained although no rule says so. */
  readonly train?: readonly string[];
  /** The user's outputs that are trained (default: all that a loss can be computed on). */
  readonly outputs?: readonly string[];
  /** False keeps outputs as they are, where training would compute the loss on the logits before a Softmax. */
  readonly lookThrough?: boolean;
}

/**
 * **Throws** NOTHING_TO_TRAIN when no weight reaches a float output, NO_GRADIENT when an operator has no form in the
 * training graph's opset.
 */
export async function trainingGraph(
  given: OnnxFile,
  analysis: Analysis,
  batch: number,
  options: TrainingOptions = {},
): Promise<TrainingGraph> {
  const file = prepared(given);
  // The proof is made at a small batch: the rewriting is the same at all of them.
  const small = analysis.batch.kind === 'fixed' ? batch : Math.min(batch, PROOF_BATCH);
  const proved = await built(settingOf(file, analysis, small), options);
  await agreeWith({ ...proved.setting, targets: proved.targets }, proved.graph);
  await sameOutputs(proved.user, proved.setting);
  return small === batch ? proved.graph : (await built(settingOf(file, analysis, batch), options)).graph;
}

const PROOF_BATCH = 2;

/** @returns the notes with the reasons for constants of bodies that the training graph does not have. */
function withDropped(
  trained: readonly TrainedNote[],
  user: ModelProto,
  dropped: ReadonlyMap<string, string>,
): TrainedNote[] {
  const known = new Set(trained.map((t) => t.name));
  const missing = weightsOf(user.graph).flatMap(({ name }) =>
    known.has(name) || !dropped.has(name) ? [] : [{ name, trained: false, why: dropped.get(name)! }],
  );
  return [...trained.map((t) => (t.trained ? t : { ...t, why: dropped.get(t.name) ?? t.why })), ...missing];
}

async function built(user: Setting, options: TrainingOptions) {
  const { model, notes, dropped, starts } = await resolved(user);
  const setting: Setting = { ...user, model };
  const probe = await openProbe(setting);
  let seen: Observation;
  try {
    seen = await probe.run(setting.feeds);
  } finally {
    await probe.close();
  }
  const own = draftOf(setting, { user: user.model, starts }, probe, seen, options);
  const draft: Draft = {
    ...own,
    notes: [...notes, ...own.notes],
    trained: withDropped(own.trained, user.model, dropped),
  };
  const graph = await typed(draft, setting, { shapes: seen.shapes, dtypes: probe.dtypes });
  return { user, setting, graph, targets: draft.targets.map((t) => t.value) };
}

/** The user's model as it runs at one batch. */
export interface Setting {
  readonly model: ModelProto;
  readonly folder: string;
  readonly path: string;
  readonly batch: number;
  readonly inputs: readonly FreeInput[];
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Inputs that are settings, not samples: single whole numbers without a batch. */
  readonly given: ReadonlySet<string>;
  /** Tells of an If whether both of its branches run, and give the same shapes. */
  selects(node: NodeProto): boolean;
  /** The batch axis of a value, where it has one. */
  batchAxis(name: string, shape: readonly number[]): number | undefined;
}

function settingOf(file: OnnxFile, analysis: Analysis, batch: number): Setting {
  const { batch: kind, sizes, options } = analysis;
  if (kind.kind === 'fixed' && kind.size !== batch) {
    throw new CgesError('USAGE', `this model runs batches of ${kind.size} only, not of ${batch}: ${kind.why}`, {
      file: file.path,
      hint: `--batch ${kind.size}`,
    });
  }
  const model = kind.kind === 'rebatched' ? atBatch(file.model, kind, batch) : file.model;
  const inputs = kind.kind === 'rebatched' ? kind.inputs : analysis.inputs;
  return {
    model,
    folder: file.folder,
    path: file.path,
    batch,
    inputs,
    shapes: new Map(inputs.map((i) => [i.name, shapeAt(i, batch, sizes)])),
    feeds: makeFeeds(inputs, batch, sizes, options.seed ?? 0, options.samples),
    given: new Set(inputs.filter((i) => isSetting(i, shapeAt(i, batch, sizes))).map((i) => i.name)),
    selects: (node) => givesSameShapes(node, analysis),
    batchAxis(name, shape) {
      if (kind.kind === 'free') return analysis.values.get(name)?.batchAxis;
      return shape[0] === batch ? 0 : undefined;
    },
  };
}

function givesSameShapes(node: NodeProto, { bodies, values }: Analysis): boolean {
  if (node.opType !== 'If') return false;
  const branches = bodiesOf(node);
  if (!branches.every(({ attribute }) => bodies.entered.has(bodyKey(node, attribute)))) return false;
  const shapesOf = (name: string): string => JSON.stringify(values.get(name)?.shapes);
  return node.output.every(
    (name, k) => name === '' || branches.every(({ graph }) => shapesOf(graph.output[k].name) === shapesOf(name)),
  );
}

function isSetting(input: FreeInput, shape: readonly number[]): boolean {
  return input.batchAxis === undefined && sizeOf(shape) === 1 && (isInteger(input) || input.dtype === 'bool');
}

interface Draft extends Omit<TrainingGraph, 'values' | 'outputs' | 'inputs'> {
  readonly targets: readonly (Logits & { readonly of: readonly string[]; readonly name: string })[];
}

/** @param origin the model as the user has it, in which clones are told by their places, and what loops begin with */
function draftOf(
  setting: Setting,
  { user, starts }: { user: ModelProto; starts: ReadonlySet<string> },
  probe: Probe,
  seen: Observation,
  options: TrainingOptions,
): Draft {
  const { model } = setting;
  const sorted = sortedNodes(model.graph);
  const producers = new Map(sorted.flatMap((n) => n.output.filter((o) => o !== '').map((o) => [o, n] as const)));
  const folded = staticValues(model.graph, { unknown: starts });
  const contents = contentsOf(setting, probe, seen);
  const notes: string[] = [];
  const targets = targetsOf(model, producers, folded, probe.dtypes, options, notes);
  const train = nameMatcher(options.train);
  const before = liveNodes(sorted, producers, folded, targets);
  const mixed = mixedOf(before, producers, folded, contents.constants);
  const open = new Set([...mixed].filter((name) => train(name) && isFloat(contents.constants.get(name)!.dtype)));
  // What is made of constants that are asked for is computed in every step.
  const fixed = open.size > 0 ? staticValues(model.graph, { unknown: starts, open }) : folded;
  const live = open.size > 0 ? liveNodes(sorted, producers, fixed, targets) : before;
  for (const node of live) refuseFunction(node, model);
  const shape = (name: string) => setting.shapes.get(name) ?? seen.shapes.get(name) ?? contents.dims(name);

  const uses = withoutMixed(
    weightUses({
      nodes: live,
      producers,
      fixed,
      constants: contents.constants,
      shape,
      freeze: nameMatcher(options.freeze),
      train,
    }),
    new Set([...mixed].filter((name) => !open.has(name))),
  );
  const taken = new Set([...probe.dtypes.keys(), ...producers.keys()]);
  const fresh = (hint: string): string => {
    let name = hint;
    for (let k = 1; taken.has(name); k++) name = `${hint}_${k}`;
    taken.add(name);
    return name;
  };
  const places = new Map(user.graph.node.map((n, i) => [n, i]));
  const clones = clonesOf({
    uses,
    producers,
    fixed,
    dims: (root) => contents.constants.get(root)!.dims,
    indexOf: (node) => places.get(node),
    fresh,
  });
  const form = canonicalForm({
    live,
    uses,
    clones,
    places,
    producers,
    fixed,
    contents: contents.read,
    dtypeOf: (name) => probe.dtypes.get(name),
    shape,
    opsetOf: (domain) => opsetOf(model, domain),
    fresh,
  });
  const parameters = new Map<string, Tensor>();
  for (const use of uses) {
    const name = form.nameOf(use);
    if (use.trained && !parameters.has(name)) parameters.set(name, toFloat32(contents.read(use.root)));
  }
  if (parameters.size === 0) throw untrained(setting, targets, contents.constants, options);
  for (const [name, tensor] of form.roots) if (!parameters.has(name)) form.constants.set(name, tensor);
  if (clones.length > 0) {
    notes.push(
      `${new Set(clones.map((c) => c.of)).size} merged initializers were told apart: ${new Set(clones.map((c) => c.name)).size} clones`,
    );
  }
  return {
    batch: setting.batch,
    nodes: form.nodes,
    parameters,
    constants: form.constants,
    state: form.state,
    clones,
    trained: trainedNotes(
      uses,
      [...contents.constants].filter(([, c]) => isFloat(c.dtype)).map(([name]) => name),
    ),
    notes,
    targets: targets.map((t) => ({ ...t, name: form.resolve(t.value) })),
  };
}

const quantisedTypes = new Set<DType>(['int8', 'uint8', 'int4', 'uint4']);

function untrained(
  { path: file }: Setting,
  [target]: readonly { readonly of: readonly string[] }[],
  constants: ReadonlyMap<string, { dtype: DType; dims: readonly number[] }>,
  { freeze }: TrainingOptions,
): CgesError {
  const quantised = [...constants.values()].some((c) => quantisedTypes.has(c.dtype) && c.dims.length > 1);
  const what = `no weight reaches '${target.of[0]}'`;
  if (quantised) {
    return new CgesError('NOTHING_TO_TRAIN', `${what}: they are quantised, and whole numbers have no gradient`, {
      file,
      hint: 'train the model before it is quantised; strip removes dead channels of quantised models too',
    });
  }
  const hint = freeze ? 'freeze fewer weights' : 'name weights with --train';
  return new CgesError('NOTHING_TO_TRAIN', what, { file, hint });
}

/** Contents of what is known before any sample comes in. */
function contentsOf(setting: Setting, probe: Probe, seen: Observation) {
  const protos = new Map(setting.model.graph.initializer.map((t) => [t.name ?? '', t]));
  const constants = new Map<string, { dtype: DType; dims: readonly number[] }>();
  for (const [name, proto] of protos) constants.set(name, { dtype: tensorType(proto), dims: tensorDims(proto) });
  for (const node of setting.model.graph.node) {
    const tensor = constantOf(node, setting.folder);
    if (tensor) constants.set(node.output[0], tensor);
  }
  const read = (name: string): Tensor => {
    const proto = protos.get(name);
    const tensor = proto ? tensorOf(proto, setting.folder) : (probe.constants.get(name) ?? seen.known.get(name));
    if (!tensor)
      throw new CgesError('MODEL_INVALID', 'a constant could not be read', { file: setting.path, value: name });
    return tensor;
  };
  return { constants, read, dims: (name: string) => constants.get(name)?.dims };
}

function targetsOf(
  model: ModelProto,
  producers: ReadonlyMap<string, NodeProto>,
  fixed: ReadonlySet<string>,
  dtypes: ReadonlyMap<string, DType>,
  { outputs: wanted, lookThrough = true }: TrainingOptions,
  notes: string[],
): (Logits & { of: string[] })[] {
  const found = new Map<string, Logits & { of: string[] }>();
  const names = model.graph.output.map((o) => o.name);
  for (const name of wanted ?? []) {
    if (names.includes(name)) continue;
    throw new CgesError('USAGE', `the model has no output '${name}'`, { hint: `its outputs: ${names.join(', ')}` });
  }
  for (const name of wanted ?? names) {
    const looked = lookThrough ? logitsOf(name, producers, (v) => dtypes.get(v)) : asItIs(name, dtypes.get(name));
    const logits = fixed.has(name) ? undefined : looked;
    if (!logits || !producers.has(logits.value)) {
      notes.push(`output '${name}' is not trained: ${fixed.has(name) ? 'it is constant' : 'no float value before it'}`);
      continue;
    }
    if (logits.through.length > 0) {
      notes.push(`output '${name}' is trained on '${logits.value}', before ${logits.through.join(', ')}`);
    }
    const known = found.get(logits.value);
    if (known) known.of.push(name);
    else found.set(logits.value, { ...logits, of: [name] });
  }
  if (found.size > 0) return [...found.values()];
  throw new CgesError('NOTHING_TO_TRAIN', 'the model has no output of floats that a loss could be computed on', {
    hint: `its outputs: ${names.join(', ')}`,
  });
}

function asItIs(output: string, dtype: DType | undefined): Logits | undefined {
  return dtype !== undefined && isFloat(dtype) ? { value: output, through: [] } : undefined;
}

/** A function that could not be inlined has operators of another opset: it has no place in a training graph. */
function refuseFunction(node: NodeProto, { functions }: ModelProto): void {
  const domain = canonicalDomain(node.domain ?? '');
  if (!functions.some((f) => f.name === node.opType && canonicalDomain(f.domain ?? '') === domain)) return;
  const name = node.name || node.output[0];
  throw new CgesError('NO_GRADIENT', `${node.opType} ${name} is a function of another opset than the model`, {
    node: name,
    op: node.opType,
    hint: 'convert the model and its functions to one opset first',
  });
}

/** @returns nodes that the targets need and that depend on the model's inputs. */
function liveNodes(
  sorted: readonly NodeProto[],
  producers: ReadonlyMap<string, NodeProto>,
  fixed: ReadonlySet<string>,
  targets: readonly Logits[],
): NodeProto[] {
  const live = new Set<NodeProto>();
  const open = targets.map((t) => t.value);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = producers.get(name);
    if (!node || fixed.has(name) || live.has(node)) continue;
    live.add(node);
    open.push(...readsOf(node));
  }
  return sorted.filter((n) => live.has(n));
}

/** @returns the constants that go into constant arithmetic. */
function mixedOf(
  live: readonly NodeProto[],
  producers: ReadonlyMap<string, NodeProto>,
  fixed: ReadonlySet<string>,
  constants: ReadonlyMap<string, { dtype: DType; dims: readonly number[] }>,
): Set<string> {
  const mixed = new Set<string>();
  const visited = new Set<string>();
  const open = live
    .flatMap((n) => readsOf(n))
    .filter((name) => fixed.has(name) && !rootsOf(name, { producers, constants }));
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (visited.has(name)) continue;
    visited.add(name);
    if (constants.has(name)) mixed.add(name);
    const node = producers.get(name);
    if (node && node.opType !== 'Shape' && node.opType !== 'Size') open.push(...readsOf(node));
  }
  return mixed;
}

/** A weight that also goes into constant arithmetic, which is folded, would be two things: it stays what it is. */
function withoutMixed(uses: readonly WeightUse[], mixed: ReadonlySet<string>): WeightUse[] {
  return uses.map((use) =>
    use.trained && mixed.has(use.root) ? { ...use, trained: false, why: 'also part of constant arithmetic' } : use,
  );
}

/** Completes a draft with the type of every value: seen in the model's run, or else in a run of the draft. */
async function typed(draft: Draft, setting: Setting, seen: Types): Promise<TrainingGraph> {
  const { targets, ...rest } = draft;
  const inputs: TrainingInput[] = setting.inputs.map((input) => ({
    name: input.name,
    dtype: isFloat(input.dtype) ? 'float32' : input.dtype,
    shape: setting.shapes.get(input.name)!,
    ...(input.batchAxis !== undefined && { batchAxis: input.batchAxis }),
  }));
  const made = rest.nodes.flatMap((n) => n.output.filter((o) => o !== ''));
  const types = made.every((name) => seen.shapes.has(name))
    ? seen
    : await typesOf(modelOf({ ...rest, inputs, outputs: targets }, setting.model), setting.feeds);
  const values = new Map<string, ValueType>();
  for (const { name, dtype, shape } of inputs) values.set(name, { dtype, shape });
  for (const [name, tensor] of [...rest.constants, ...rest.parameters]) {
    values.set(name, { dtype: tensor.dtype, shape: tensor.dims });
  }
  for (const name of made) {
    const dtype = types.dtypes.get(name)!;
    values.set(name, { dtype: isFloat(dtype) ? 'float32' : dtype, shape: types.shapes.get(name)! });
  }
  const outputs: TrainingOutput[] = targets.map(({ name, value, of, through }) => {
    const batchAxis = setting.batchAxis(value, values.get(name)!.shape);
    return { name, of, through, ...values.get(name)!, ...(batchAxis !== undefined && { batchAxis }) };
  });
  return { ...rest, values, inputs, outputs };
}

interface Types {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly dtypes: ReadonlyMap<string, DType>;
}

async function typesOf(model: ModelProto, feeds: Setting['feeds']): Promise<Types> {
  try {
    const probe = await openProbe({ model });
    const { shapes } = await probe.run(float32Feeds(feeds));
    await probe.close();
    return { shapes, dtypes: probe.dtypes };
  } catch (cause) {
    throw noForm(cause);
  }
}
