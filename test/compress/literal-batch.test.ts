import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { mlp } from '../../models/mlp.js';
import { compress } from '../../src/compress.js';
import { makeNode, makeTensor } from '../../src/onnx/make.js';
import type { ValueInfoProto } from '../../src/onnx/proto.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { int64 } from '../../src/tensor/tensor.js';
import { Random } from '../../src/tensor/random.js';

const folder = mkdtempSync(join(tmpdir(), 'cges-literal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

const batchOf = (info: ValueInfoProto) => info.type?.tensorType?.shape?.dim[0];

it('compresses a model that was exported for one sample at a time', async () => {
  const model = mlp({ seed: 1, inputs: 6, hidden: [12, 8], outputs: 3 });
  const { graph } = model;
  for (const info of [...graph.input, ...graph.output]) info.type!.tensorType!.shape!.dim[0] = { dimValue: 1 };
  graph.valueInfo = [];
  // A Reshape that names the batch, as exporters write it.
  const relu = graph.node.findIndex((n) => n.opType === 'Relu');
  const [value] = graph.node[relu].output;
  const flat = `${value}/flat`;
  graph.initializer.push(makeTensor('target', int64([2], [1, 12])));
  graph.node = graph.node.map((n, i) => (i > relu ? { ...n, input: n.input.map((x) => (x === value ? flat : x)) } : n));
  graph.node.splice(relu + 1, 0, makeNode('Reshape', [value, 'target'], [flat], {}, { name: 'flat' }));
  await writeModel(model, at('in.onnx'));

  const random = new Random(5);
  const lines = Array.from({ length: 600 }, () => {
    const x = Array.from({ length: 6 }, () => random.normal());
    return [x[0] > 0 ? (x[1] > 0 ? 2 : 1) : 0, ...x.map((v) => v.toFixed(4))].join(',');
  });
  writeFileSync(at('data.csv'), `label,a,b,c,d,e,f\n${lines.join('\n')}\n`);

  const common = { input: at('in.onnx'), output: at('out.onnx'), data: at('data.csv'), scale: 1, mean: [0], std: [1] };
  const report = await compress({ ...common, epochs: 8, recoverEpochs: 2, batch: 32, lr: 0.02, threads: 1 });
  expect(report.after.params).toBeLessThan(report.before.params);
  const out = readModel(at('out.onnx'));
  for (const info of [...out.model.graph.input, ...out.model.graph.output])
    expect(Number(batchOf(info)?.dimValue)).toBe(1);
});
