import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModel } from '../../src/onnx/read.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { realModels, whyNoRealModels } from '../onnx/shared.js';

/** Real models, quick ones: how their batch is, what is trained, and what the loss is computed on. */
const facts: Record<string, { batch: string; parameters: number; logits: string; clones?: number }> = {
  'mnist-paper-net': { batch: 'free', parameters: 8, logits: 'logits' },
  'mnist-cntk': { batch: 'rebatched', parameters: 6, logits: 'Plus214_Output_0' },
  'hand-keypoint-mlp': { batch: 'free', parameters: 6, logits: 'Add__18:0' },
  'resnet20-cifar10': { batch: 'free', parameters: 59, logits: 'output' },
  'resnet56-cifar10-groupsl-regularized': { batch: 'free', parameters: 173, logits: 'output', clones: 2 },
  'resnet8-cifar10-mlperftiny': { batch: 'free', parameters: 34, logits: 'dense_out' },
  'resnet4b-cifar10-vnncomp': { batch: 'rebatched', parameters: 26, logits: '54' },
  'mini-xception-fer2013': { batch: 'free', parameters: 52, logits: 'global_average_pooling2d_1.flatten_out' },
  'dscnn-kws-mlperftiny': { batch: 'free', parameters: 38, logits: 'dense_out' },
  'ppocr-mobile-v2-cls': { batch: 'free', parameters: 143, logits: 'linear_1.tmp_1' },
  'ultraface-rfb-320': { batch: 'rebatched', parameters: 139, logits: '459' },
  'vit-pgd-2-3-16-cifar10': { batch: 'free', parameters: 38, logits: 'output' },
  'cgan-img32-ch3': { batch: 'rebatched', parameters: 34, logits: 'Y' },
};

describe.skipIf(realModels.length === 0)(realModels.length === 0 ? whyNoRealModels : 'real models', () => {
  test.each(Object.keys(facts))('%s becomes a training graph that gives its outputs', async (name) => {
    const path = realModels.find((p) => basename(p) === `${name}.onnx`)!;
    const file = readModel(path);
    const analysis = await analyse(file);
    const graph = await trainingGraph(file, analysis, 2);
    expect({
      batch: analysis.batch.kind,
      parameters: graph.parameters.size,
      logits: graph.outputs[0].name,
      ...(graph.clones.length > 0 && { clones: graph.clones.length }),
    }).toEqual(facts[name]);
    expect(graph.inputs[0].shape[0]).toBe(2);
    for (const node of graph.nodes) {
      for (const value of [...node.input, ...node.output]) if (value !== '') expect(graph.values.has(value)).toBe(true);
    }
  });
});
