import type { Engine } from '../onnx/engine.js';
import { hasHalf } from '../onnx/half.js';
import type { ModelProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { specOf } from '../ops/index.js';
import { isRefusal } from '../ops/spec.js';
import type { GroupingName, LossName, PrecisionName, RegularizerName } from '../options.js';
import { relateChannels } from '../prune/channels.js';
import { sourceOf } from '../prune/strip.js';
import { type UnitGroups, unitsOf } from '../prune/units.js';
import type { Analysis } from '../shape/analyse.js';
import { nameMatcher } from '../shape/names.js';
import { trainingGraph } from '../shape/normalise.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { Random } from '../tensor/random.js';
import { float32, type Tensor } from '../tensor/tensor.js';
import type { StepGraph, TrainingEngine, TrainingRun } from './engine.js';
import { engineOf, type EnginePlace, targetOf } from './engines.js';
import type { Distillation, Matched } from './loss.js';
import { shapelessState } from './lossScale.js';
import type { OptimizerOptions } from './optimizer.js';
import type { LayerWeight } from './proximal.js';
import type { Patience } from './remote.js';
import { buildStep, initialState } from './step.js';
import { strengths } from './strengths.js';
import { slotModels, withWeights } from './weights.js';

export interface NetworkOptions extends EnginePlace {
  readonly loss: LossName;
  /** Index of the training output that the loss is computed on. */
  readonly output: number;
  /** Several outputs instead: see `StepOptions`. */
  readonly matched?: readonly Matched[];
  readonly batch: number;
  readonly microBatches: number;
  readonly batchNorm: 'live' | 'frozen';
  readonly optimizer: OptimizerOptions;
  readonly clipNorm?: number;
  readonly undrawn?: boolean;
  /** What is learnt from another model's scores, which the batches bring along. */
  readonly distillation?: Distillation;
  /** Sparsity; absent: plain fine-tuning. */
  readonly sparsity?: SparsityOptions;
  /** The state to go on from; what it lacks is the model's weights and empty optimizer slots. */
  readonly state?: ReadonlyMap<string, Tensor>;
  /** Every weight starts off by up to this share of itself. */
  readonly shaken?: number;
  readonly freeze?: readonly string[];
  readonly train?: readonly string[];
  readonly keep?: readonly string[];
  /** With devices; see `openRemote`. */
  readonly patience?: Patience;
  /** Of the products in a step (default: fp32). */
  readonly precision?: PrecisionName;
  /** What the step is compiled for (default: what engine, provider and precision say). */
  readonly target?: Engine;
  /** Loads the step in place of the engine's own loader: measurements look at how it runs. */
  readonly loader?: TrainingEngine;
  /** Told what a step was loaded into. */
  readonly onRun?: (run: TrainingRun) => void;
}

export interface SparsityOptions {
  readonly regularizer: RegularizerName;
  readonly grouping: GroupingName;
  readonly m: number;
  /** Strength of each unit's group term by what its removal saves, to this power: see `strengths`. Absent: √size alone. */
  readonly savingExponent?: number;
  /** How much more weak units are pressed than strong ones: see `ProximalOptions`. */
  readonly adaptivity?: number;
}

/** A model under training: its training graph, the compiled step, and the run that owns the state. */
export interface Network {
  readonly graph: TrainingGraph;
  readonly groups: UnitGroups;
  readonly layers: readonly LayerWeight[];
  readonly step: StepGraph;
  readonly run: TrainingRun;
  /** @returns the user's model with the weights as they are now. */
  trained(): Promise<OnnxFile>;
  /** @returns that model with each of the optimizer's slots in place of the weights. */
  slots(): Promise<ModelProto[]>;
  /** @returns the state that depends on no shape of the model, and so goes on when units were cut. */
  shapeless(): Promise<Map<string, Tensor>>;
  close(): Promise<void>;
}

/** Compiles a model for training and loads it into an engine. */
export async function openNetwork(file: OnnxFile, analysis: Analysis, options: NetworkOptions): Promise<Network> {
  const { freeze, train, keep } = options;
  const graph = await trainingGraph(file, analysis, options.batch, { freeze, train });
  const clones = new Map(graph.clones.map((c) => [`${c.node} ${c.input}`, c.name]));
  const source = sourceOf(analysis, file.model);
  const places = new Map(file.model.graph.node.map((node, i) => [node, i]));
  const channels = relateChannels(
    { ...source, folder: file.folder, nodes: analysis.channelNodes() },
    {
      keep: keep && nameMatcher(keep),
      nameOf: (node, input) => clones.get(`${places.get(source.model.graph.node[node])} ${input}`),
    },
  );
  const groups = unitsOf(channels, (name) => graph.parameters.has(name));
  const layers = layersOf(analysis, graph);
  const unscaled = options.batchNorm === 'live' ? scaleFree(analysis, graph) : undefined;
  const { sparsity } = options;
  const exponent = sparsity?.savingExponent;
  const weights = exponent === undefined ? undefined : strengths(groups.families, graph, exponent, unscaled);
  const target = options.target ?? (await targetOf(options, options.precision));
  const step = buildStep(graph, {
    loss: options.loss,
    output: options.output,
    matched: options.matched,
    optimizer: options.optimizer,
    batchNorm: options.batchNorm,
    microBatches: options.microBatches,
    clipNorm: options.clipNorm,
    undrawn: options.undrawn,
    distillation: options.distillation,
    target,
    proximal: sparsity && {
      regularizer: sparsity.regularizer,
      grouping: sparsity.grouping,
      m: sparsity.m,
      adaptivity: sparsity.adaptivity,
      families: groups.families.map((f, i) => ({ ...f, weight: weights?.[i], scaleFree: unscaled })),
      layers: sparsity.grouping === 'channel' ? layers.map((l) => evened(l, graph)) : layers,
    },
  });
  const initial = initialState(graph, step, options.state);
  const run = await (options.loader ?? engineOf(options, options.patience)).load(
    step,
    options.shaken === undefined ? initial : shaken(initial, graph, options.shaken),
  );
  options.onRun?.(run);
  return {
    graph,
    groups,
    layers,
    step,
    run,
    trained: async () => withWeights(file, graph, await run.state()),
    shapeless: async () => (hasHalf(target) ? shapelessState(await run.state()) : new Map()),
    slots: async () => slotModels(file, graph, await run.state(), options.optimizer),
    close: () => run.close(),
  };
}

/** @returns a state whose weights are off, the same whenever it is asked for; what is zero stays so. */
function shaken(state: ReadonlyMap<string, Tensor>, { parameters }: TrainingGraph, share: number): Map<string, Tensor> {
  const random = Random.stream(4, 1);
  return new Map(
    [...state].map(([name, tensor]) => {
      if (!parameters.has(name)) return [name, tensor];
      const data = (tensor.data as Float32Array).map((v) => v * (1 + share * (2 * random.uniform() - 1)));
      return [name, float32(tensor.dims, data)];
    }),
  );
}

/** @returns the weights that mix channels, in the order of the layers, with the axis of their outputs. */
function layersOf(analysis: Analysis, graph: TrainingGraph): LayerWeight[] {
  const layers = new Map<string, LayerWeight>();
  for (const node of analysis.channelNodes()) {
    const rule = specOf(node.op, node.proto.domain, node.opset)?.channels;
    if (!rule || isRefusal(rule)) continue;
    for (const { weight, outAxis } of rule(node).mixes ?? []) {
      if (graph.parameters.has(weight.name)) layers.set(weight.name, { parameter: weight.name, outAxis });
    }
  }
  return [...layers.values()];
}

/** @returns the weights whose outputs go into a BatchNormalization and nowhere else. */
function scaleFree(analysis: Analysis, graph: TrainingGraph): Set<string> {
  const nodes = analysis.channelNodes();
  const readers = new Map<string, number>();
  for (const node of nodes)
    for (const input of node.inputs) if (input) readers.set(input.name, (readers.get(input.name) ?? 0) + 1);
  const into = new Set(nodes.flatMap((n) => (n.op === 'BatchNormalization' && n.inputs[0] ? [n.inputs[0].name] : [])));
  const outputs = new Set(analysis.file.model.graph.output.map((o) => o.name));
  const found = new Set<string>();
  for (const node of nodes) {
    const [output] = node.outputs;
    if (!output || !into.has(output.name) || readers.get(output.name) !== 1 || outputs.has(output.name)) continue;
    for (const input of node.inputs) if (input && graph.parameters.has(input.name)) found.add(input.name);
  }
  return found;
}

/**
 * The exclusive penalty of a group grows with the square of its members, the group penalty of a unit with the root of
 * its size: @returns the layer with a factor that lets both grow alike, as one λ stands for both.
 */
function evened(layer: LayerWeight, graph: TrainingGraph): LayerWeight {
  const members = graph.parameters.get(layer.parameter)!.dims[layer.outAxis];
  return { ...layer, exclusiveFactor: 1 / Math.sqrt(members) };
}
