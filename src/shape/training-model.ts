import { TRAINING_OPSET } from '../onnx/builder.js';
import { canonicalDomain, opsetOf } from '../onnx/graph.js';
import { makeGraph, makeModel, makeTensor, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';
import type { TrainingGraph } from './training-graph.js';

/** @returns half and double precision feeds as the training graph takes them. */
export function float32Feeds(feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, isFloat(t.dtype) ? toFloat32(t) : t]));
}

/** @returns the training graph as a model, to be run by itself; `origin` tells versions of other domains. */
export function modelOf(
  graph: Pick<TrainingGraph, 'nodes' | 'parameters' | 'constants' | 'inputs'> & {
    outputs: readonly { name: string }[];
  },
  origin?: ModelProto,
): ModelProto {
  const model = makeModel(
    makeGraph({
      node: [...graph.nodes],
      initializer: [...graph.parameters, ...graph.constants].map(([name, tensor]) => makeTensor(name, tensor)),
      input: graph.inputs.map((i) => makeValueInfo(i.name, i.dtype, i.shape)),
      output: graph.outputs.map(({ name }) => ({ name, metadataProps: [] })),
    }),
    TRAINING_OPSET,
  );
  for (const domain of new Set(graph.nodes.map((n) => canonicalDomain(n.domain ?? '')))) {
    if (domain !== '') model.opsetImport.push({ domain, version: (origin && opsetOf(origin, domain)) || 1 });
  }
  return { ...model, functions: origin?.functions ?? [] };
}
