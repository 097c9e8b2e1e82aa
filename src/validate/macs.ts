import { FLOW } from '../ops/flow.js';
import { specOf } from '../ops/index.js';
import type { Analysis } from '../shape/analyse.js';
import { sizeOf } from '../tensor/tensor.js';

/** What one node costs, and what it holds. */
export interface LayerCost {
  readonly name: string;
  readonly op: string;
  /** Multiply–accumulates for one sample. */
  readonly macs: number;
  /** Elements of the constants that the node reads; a shared one is counted where it is read first. */
  readonly params: number;
  /** Of the first output; `N` is the batch. */
  readonly outputShape: readonly (number | string)[];
}

/** @returns multiply–accumulates for one sample. */
export function macsOf(analysis: Analysis): number {
  return layerCosts(analysis).reduce((sum, layer) => sum + layer.macs, 0);
}

/** @returns every node's cost, in the order in which they run; nodes that only make constants are left out. */
export function layerCosts(analysis: Analysis): LayerCost[] {
  const batch = batchOf(analysis);
  const counted = new Set<string>();
  return analysis.channelNodes().flatMap((node) => {
    const makesConstants = node.outputs.length > 0 && node.outputs.every((value) => value.known);
    if (makesConstants || node.proto.domain === FLOW) return [];
    const spec = specOf(node.op, node.proto.domain, node.opset);
    let params = 0;
    node.inputs.forEach((value, input) => {
      // Whole numbers are weights where the operator says so; others choose, or name sizes.
      const isWeight = value?.dtype.includes('float') || spec?.trains?.includes(input);
      if (!value?.known || !isWeight || value.shape.length === 0 || counted.has(value.name)) return;
      counted.add(value.name);
      params += sizeOf(value.shape);
    });
    const macs = (spec?.macs?.(node) ?? 0) * (node.runs ?? 1);
    const { name, op } = node;
    return [
      { name, op, macs: Math.round(macs / batch), params, outputShape: shapeOf(node.outputs[0]?.name, analysis) },
    ];
  });
}

/** Samples in the run whose shapes were read. */
export function batchOf({ batch, inputs }: Analysis): number {
  if (batch.kind === 'rebatched') return batch.literal;
  if (batch.kind === 'fixed') return batch.size;
  for (const { batchAxis, shape } of inputs) if (batchAxis !== undefined) return shape[batchAxis];
  return 1;
}

function shapeOf(name: string | undefined, { values }: Analysis): (number | string)[] {
  const facts = name === undefined ? undefined : values.get(name);
  return facts ? facts.shapes[0].map((size, axis) => (axis === facts.batchAxis ? 'N' : size)) : [];
}
