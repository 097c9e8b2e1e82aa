import { CgesError } from './errors.js';
import { elementTypeOf, shapeOf } from './onnx/graph.js';
import type { ValueInfoProto } from './onnx/proto.js';
import { openModel } from './onnx/open.js';
import type { OnnxFile } from './onnx/read.js';
import { openToCut } from './openAnalysis.js';
import type { InspectOptions } from './options.js';
import { weightAxes } from './prune/axes.js';
import { channelsOf } from './prune/strip.js';
import { type UnitPart, unitsOf } from './prune/units.js';
import type { AxisFacts, Inspection, PortFacts } from './report/inspection.js';
import { REPORT_SCHEMA_VERSION } from './report/schema.js';
import type { Analysis } from './shape/analyse.js';
import { nameMatcher } from './shape/names.js';
import { trainingGraph } from './shape/normalise.js';
import { batchOf, layerCosts, macsOf } from './validate/macs.js';
import { bytesOf } from './validate/measure.js';
import { paramsOf } from './validate/params.js';

/** Looks into a model: layers and costs, what would be trained, what can be removed, and what pins the rest. */
export async function inspect(options: InspectOptions): Promise<Inspection> {
  const { input, onEvent, signal } = options;
  onEvent?.({ type: 'phase', phase: 'inspect', message: `reading ${input}` });
  const { file, analysis } = await openToCut(openModel(input), options);
  if (signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while the model was being inspected');
  const { trained, notes } = await trainedOf(file, analysis, options);
  return {
    schemaVersion: REPORT_SCHEMA_VERSION,
    command: 'inspect',
    path: file.path,
    opset: analysis.opset,
    producer: [file.model.producerName, file.model.producerVersion].filter(Boolean).join(' '),
    params: paramsOf(file.model),
    macs: macsOf(analysis),
    bytes: bytesOf(file),
    batch: describeBatch(analysis),
    inputs: analysis.inputs.map(({ name, dtype, dims }) => ({ name, dtype, shape: dims })),
    outputs: file.model.graph.output.map((info) => describeOutput(info, analysis)),
    layers: layerCosts(analysis),
    ...unitFacts(analysis, options),
    trained,
    notes: [...file.notes, ...notes],
  };
}

function unitFacts(analysis: Analysis, options: InspectOptions): Pick<Inspection, 'families' | 'pinned' | 'weights'> {
  const keep = options.keep && nameMatcher(options.keep);
  const channels = channelsOf(analysis, { keep });
  const groups = unitsOf(channels);
  const axes = (parts: readonly UnitPart[]): AxisFacts[] =>
    parts.map(({ parameter, axis }) => ({ weight: channels.parameters.get(parameter)?.name ?? parameter, axis }));
  const sum = (numbers: Float64Array) => Math.round(numbers.reduce((total, n) => total + n, 0));
  const batch = batchOf(analysis);
  return {
    families: groups.families.map((f) => ({
      name: f.name,
      units: f.count,
      params: sum(f.parameters),
      macs: Math.round(sum(f.macs) / batch),
      makes: axes(f.parts),
      reads: axes(f.consumers),
    })),
    pinned: groups.pinned.map(({ node, count, of, by }) => ({
      node,
      channels: count,
      of,
      by: by.node,
      op: by.op,
      why: by.why,
    })),
    weights: weightAxes(channels, groups, { model: analysis.file.model, closed: analysis.bodies.closed }).map(
      ({ pinned, ...facts }) => ({
        ...facts,
        pinned: pinned.map(({ count, by }) => ({ indices: count, by: by.node, op: by.op, why: by.why })),
      }),
    ),
  };
}

/** A model that cannot be trained can still be looked into: the reason becomes a note. */
async function trainedOf(
  file: OnnxFile,
  analysis: Analysis,
  options: InspectOptions,
): Promise<Pick<Inspection, 'trained' | 'notes'>> {
  try {
    const batch = analysis.batch.kind === 'fixed' ? analysis.batch.size : 1;
    const graph = await trainingGraph(file, analysis, batch, options);
    return { trained: graph.trained, notes: graph.notes };
  } catch (error) {
    if (!(error instanceof CgesError)) throw error;
    return { trained: [], notes: [`it cannot be trained: ${error.message}`] };
  }
}

function describeBatch({ batch }: Analysis): string {
  if (batch.kind === 'free') return 'any batch runs';
  if (batch.kind === 'rebatched') return `the batch of ${batch.literal} is literal, but can be changed`;
  return `only batches of ${batch.size} run: ${batch.why}`;
}

function describeOutput(info: ValueInfoProto, analysis: Analysis): PortFacts {
  const declared = shapeOf(info);
  const seen = analysis.values.get(info.name);
  return {
    name: info.name,
    dtype: elementTypeOf(info) ?? seen?.dtype ?? 'no tensor',
    shape: (declared ?? seen?.shapes[0] ?? []).map((d) => d ?? '?'),
  };
}
