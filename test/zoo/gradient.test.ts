import { expect, test } from 'vitest';
import { gradients } from '../../src/autodiff/backward.js';
import { emitForward } from '../../src/autodiff/forward.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { cpuEngine } from '../../src/onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../../src/onnx/make.js';
import { specOf } from '../../src/ops/index.js';
import { openSession } from '../../src/runtime/session.js';
import { analyse } from '../../src/shape/analyse.js';
import { type TrainingGraph, trainingGraph } from '../../src/shape/normalise.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { filled, missing, type Reference, type ZooModel, zooModel } from './zoo.js';

if (missing) console.log(`skipped: ${missing}`);

const names = [
  'mlp_mnist.train',
  'textcnn.train',
  'conv3d_small.train',
  'channel_shuffle_split_net.train',
  'dcgan_generator.train',
  'espcn_x3.train',
  'pointnet.train',
  'siamese_cosine.train',
  'groupnorm_resnet_tiny.train',
  'conv_vae.train',
  'squeezenet1_1.train',
  'yolov8_like.train',
  'timm_mobilenetv3_small_050.train',
  'shufflenet_v2_x1_0.train',
  'hf_mamba.plain',
  'mha_encoder_seqfirst.train',
  'transformer_encdec.train',
  'hf_xlnet.train',
  'hf_bert_cls.train',
  'hf_bloom.plain',
  'lstm_tagger.train',
  'gru_tagger.train',
  'crnn_ocr.train',
];

test.skipIf(missing).each(names)('gradients of %s are those of the reference', async (name) => {
  const model = zooModel(name);
  const analysis = await analyse(model.file, { samples: model.feeds });
  const graph = await trainingGraph(model.file, analysis, model.reference.inputs![0].shape[0]);
  const found = await gradientsOf(graph, model);
  const { params, dotSeeds } = model.reference.grad!;
  // A gradient that is zero in truth (key biases of attention) holds what rounding leaves of the others.
  const rounding = 1e-8 * Math.max(...Object.values(params).map((p) => p.l2));
  let compared = 0;
  for (const [parameter, { l2, dot, noise = 0, shape, sumOver }] of Object.entries(params)) {
    const gradient = sumOver ? summed(found, sumOver, shape) : found.get(parameter);
    if (!gradient) continue;
    compared++;
    const tolerance = (1e-6 + l2) * (1e-4 + 20 * noise) + rounding;
    expect(Math.abs(Math.sqrt(product(gradient, gradient)) - l2), `length of ${parameter}.grad`).toBeLessThan(
      tolerance,
    );
    for (const [k, seed] of dotSeeds.entries()) {
      const along = product(gradient, filled(gradient.length, { seed }));
      expect(Math.abs(along - dot[k]), `${parameter}.grad along direction ${k}`).toBeLessThan(tolerance);
    }
  }
  expect(compared).toBeGreaterThan(0.5 * Object.keys(params).length);
});

/** @returns gradients by the names of the user's initializers; those of clones are added up. */
async function gradientsOf(graph: TrainingGraph, { reference, feeds }: ZooModel): Promise<Map<string, Float32Array>> {
  const g = new GraphBuilder(cpuEngine);
  const given = new Map<string, Value>();
  const values: Record<string, Tensor> = {};
  const give = (name: string, tensor: Tensor): void => {
    const value = { name: g.unique(name), dtype: tensor.dtype, shape: tensor.dims };
    given.set(name, value);
    values[value.name] = tensor;
  };
  for (const { name } of graph.inputs) give(name, feeds[name]);
  for (const [name, tensor] of graph.parameters) give(name, tensor);
  const random = (): never => {
    throw new Error('no random values here');
  };
  const context = { batchNorm: 'frozen' as const, update: () => {}, random };
  const forward = emitForward(g, graph, given, context, specOf);
  const grads = gradients(g, forward, seedsOf(g, graph, reference), graph.parameters.keys());
  const model = makeModel(
    makeGraph({
      node: g.nodes,
      initializer: g.initializers,
      input: Object.entries(values).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
      output: [...new Set([...grads.values()].map((v) => v.name))].map((name) => ({ name, metadataProps: [] })),
    }),
    18,
    [...g.domains],
  );
  const session = await openSession(model);
  const results = await session.run(values);
  await session.close();
  const sums = new Map<string, Float32Array>();
  for (const [name, { name: emitted }] of grads) {
    const of = graph.clones.find((c) => c.name === name)?.of ?? name;
    const data = results[emitted].data as Float32Array;
    const sum = sums.get(of);
    sums.set(of, sum ? sum.map((x, i) => x + data[i]) : data);
  }
  return sums;
}

/** @returns the gradient of a tied weight of which the file holds several, some of them transposed. */
function summed(
  found: ReadonlyMap<string, Float32Array>,
  parts: readonly { name: string; transposed: boolean }[],
  [rows, columns]: readonly number[],
): Float32Array | undefined {
  const sum = new Float32Array(rows * columns);
  for (const { name, transposed } of parts) {
    const part = found.get(name);
    if (!part) return undefined;
    for (let i = 0; i < sum.length; i++) {
      sum[i] += part[transposed ? (i % columns) * rows + Math.floor(i / columns) : i];
    }
  }
  return sum;
}

/** The loss of the reference is Σ output · R, with R drawn from seeds. */
function seedsOf(g: GraphBuilder, graph: TrainingGraph, { outputs, grad }: Reference): Map<string, Value> {
  const seeds = new Map<string, Value>();
  outputs!.forEach(({ name, shape }, k) => {
    const seed = grad!.rSeeds[k];
    const output = graph.outputs.find((o) => o.of.includes(name));
    if (seed === null || !output) return;
    expect(output.through, 'operators behind the logits').toEqual([]);
    seeds.set(output.name, g.constant(float32(shape, filled(sizeOf(shape), { seed })), `${name}.seed`));
  });
  return seeds;
}

function product(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
