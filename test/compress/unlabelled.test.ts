import { expect, it } from 'vitest';
import { mlp } from '../../models/mlp.js';
import { compare } from '../../src/compare.js';
import { compress } from '../../src/compress.js';
import { makeNode, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import type { CompressEvent } from '../../src/report/events.js';
import { float32 } from '../../src/tensor/tensor.js';
import { Random } from '../../src/tensor/random.js';
import { inFolder, run } from '../cli/run.js';
import { bytesOf, counting, idx, npy } from '../data/files.js';
import { errorOf } from '../onnx/shared.js';
import { net, weights } from '../shape/nets.js';

const brief = { threads: 1, epochs: 3, recoverEpochs: 3, batch: 32 } as const;

/** 500 samples of 6 numbers, without labels. */
function numbers(): Uint8Array {
  const random = new Random(5);
  return npy('<f4', [500, 6], bytesOf(Float32Array.from({ length: 3000 }, () => random.normal())));
}

/** A classifier that gives probabilities. */
function classifier(): ModelProto {
  const model = mlp({ seed: 1, inputs: 6, hidden: [24, 12], outputs: 3 });
  const { graph } = model;
  const [{ name }] = graph.output;
  graph.node.push(makeNode('Softmax', [name], ['p'], { axis: 1 }));
  graph.output = [makeValueInfo('p', 'float32', ['batch', 3])];
  return model;
}

it('learns the classes of the input model from samples without labels, and says so', async () => {
  await inFolder(async (folder) => {
    const input = await folder.put('in.onnx', classifier());
    const data = await folder.put('x.npy', numbers());
    const output = folder.of('out.onnx');
    const events: CompressEvent[] = [];
    const report = await compress({ ...brief, input, output, data, onEvent: (e) => events.push(e) });
    expect(report.data).toMatchObject({ targets: 'input model', trainSamples: 450, valSamples: 50 });
    expect(report.choices).toContainEqual({
      what: 'targets',
      value: 'answers of the input model',
      why: 'the data has no labels: learning from the input model',
    });
    expect(report.choices).toContainEqual(expect.objectContaining({ what: 'loss', value: 'cross-entropy' }));
    expect(report.warnings).toContainEqual(expect.stringContaining('the samples are taken as they are'));
    expect(report.before.metric).toEqual({ name: 'agreement', value: 1, on: 'val', samples: 50 });
    expect(report.after.metric!.name).toBe('agreement');
    expect(report.after.metric!.value).toBeGreaterThan(0.8);
    expect(events.filter((e) => e.type === 'progress').every((e) => e.agreement !== undefined)).toBe(true);
    expect(JSON.stringify([report, events])).not.toContain('accuracy');

    const beside = await compare({ a: input, b: output, data, threads: 1 });
    expect(beside.b.metric).toEqual(report.after.metric);
    const { out } = await run('compare', input, output, '--data', data, '--threads', '1');
    expect(out).toContain('agreement with in.onnx on 50 validation samples.');
  });
});

it('matches all outputs of a model that gives numbers, whatever their scale', async () => {
  await inFolder(async (folder) => {
    const { model } = net({
      nodes: [
        makeNode('Gemm', ['x', 'w', 'c'], ['g'], { transB: 1 }, { name: 'dense' }),
        makeNode('Relu', ['g'], ['h']),
        makeNode('Gemm', ['h', 'a'], ['small'], { transB: 1 }, { name: 'head1' }),
        makeNode('Gemm', ['h', 'b'], ['m'], { transB: 1 }, { name: 'head2' }),
        makeNode('Mul', ['m', 'thousand'], ['big']),
      ],
      inputs: { x: ['batch', 6] },
      outputs: ['small', 'big'],
      weights: {
        w: weights([24, 6], 1),
        c: weights([24], 2),
        a: weights([2, 24], 3),
        b: weights([3, 24], 4),
        thousand: float32([], [1000]),
      },
    });
    const input = await folder.put('in.onnx', model);
    const data = await folder.put('x.npy', numbers());
    const report = await compress({
      ...brief,
      input,
      output: folder.of('out.onnx'),
      data,
      lr: 2e-3,
      epochs: 30,
      recoverEpochs: 60,
    });
    expect(report.options).toMatchObject({ loss: 'mean-squared-error', optimizer: { name: 'adam' } });
    expect(report.before.metric).toMatchObject({ name: 'agreement', value: 1 });
    expect(report.after.metric!.value).toBeGreaterThan(0.95);
    expect(report.after.params).toBeLessThan(report.before.params);
  });
});

it('learns from samples that the model takes in half precision', async () => {
  await inFolder(async (folder) => {
    const { model } = net({
      nodes: [
        makeNode('Cast', ['x'], ['f'], { to: 1 }),
        makeNode('Gemm', ['f', 'w'], ['y'], { transB: 1 }, { name: 'dense' }),
      ],
      inputs: { x: ['batch', 6] },
      outputs: ['y'],
      weights: { w: weights([3, 6], 1) },
      dtype: 'float16',
    });
    const input = await folder.put('in.onnx', model);
    const data = await folder.put('x.npy', numbers());
    const report = await compress({ ...brief, input, output: folder.of('out.onnx'), data, regularizer: 'none' });
    expect(report.after.metric!.value).toBeGreaterThan(0.99);
  });
});

it('makes inputs up where it is asked to, and warns of them wherever figures are read', async () => {
  await inFolder(async (folder) => {
    const input = await folder.put('in.onnx', classifier());
    const output = folder.of('out.onnx');
    const none = await run(input, output);
    expect(none).toMatchObject({ exit: 2, err: expect.stringContaining('--data synthetic') });
    const options = ['--threads', '1', '--epochs', '1', '--recover-epochs', '1', '--json', folder.of('r.json')];
    const made = await run(input, output, '--data', 'synthetic', ...options);
    expect(made).toMatchObject({ exit: 0 });
    expect(made.err).toContain('warning: there is no data: the model is trained and judged on made-up inputs.');
    expect(made.out).toContain('agreement with the input model on 410 made-up samples.');
    expect(made.out).not.toContain('accuracy');
  });
});

it('asks how pictures are to be prepared where no labels show it', async () => {
  await inFolder(async (folder) => {
    const input = await folder.put('in.onnx', mlp({ inputs: 16, hidden: [4], outputs: 3 }));
    const data = await folder.put('a-images-idx3-ubyte', idx(8, [40, 4, 4], counting(640)));
    const asked = { ...brief, input, output: folder.of('out.onnx'), data };
    expect(await errorOf(() => compress(asked))).toMatchObject({
      code: 'DATA_PREPROCESSING',
      hint: expect.stringContaining('--scale 1/255'),
    });
    const report = await compress({ ...asked, scale: 1 / 255, epochs: 1, recoverEpochs: 1, regularizer: 'none' });
    expect(report.after.metric!.name).toBe('agreement');
  });
});

it('writes nothing that is no longer like the input model', async () => {
  await inFolder(async (folder) => {
    const input = await folder.put('in.onnx', mlp({ seed: 1, inputs: 6, hidden: [24], outputs: 3 }));
    const data = await folder.put('x.npy', numbers());
    const ruined = compress({ ...brief, input, output: folder.of('out.onnx'), data, lambda: 1e4, recoverEpochs: 0 });
    expect(await errorOf(() => ruined)).toMatchObject({ code: 'VALIDATION_FAILED' });
  });
});

it('says of a state that it is none of the samples, where a model takes one at a time', async () => {
  await inFolder(async (folder) => {
    const model = classifier();
    const { graph } = model;
    graph.input.push(makeValueInfo('cache', 'float32', [2, 1, 3]));
    graph.node.push(makeNode('Relu', ['cache'], ['cache_out'], {}));
    graph.output.push(makeValueInfo('cache_out', 'float32', [2, 1, 3]));
    graph.input[0] = makeValueInfo(graph.input[0].name!, 'float32', [1, 6]);
    const input = await folder.put('in.onnx', model);
    const error = await errorOf(() => compress({ ...brief, input, output: folder.of('out.onnx'), data: 'synthetic' }));
    expect(error).toMatchObject({
      code: 'DATA_SHAPE',
      message: "the first axis of input 'cache' [2,1,3] does not count samples",
      hint: expect.stringContaining('it can be stripped, not trained'),
    });
  });
});
