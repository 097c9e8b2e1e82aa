import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { mlp } from '../../models/index.js';
import { makeTensor } from '../../src/onnx/make.js';
import { readModel } from '../../src/onnx/read.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { float32 } from '../../src/tensor/tensor.js';
import { npz } from '../data/zip.js';
import { inFolder, run } from './run.js';

const net = mlp({ inputs: 4, hidden: [10], outputs: 3 });

describe('strip --random', () => {
  it('zeroes the share of the units, saves that model, removes them and says what was compared', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', net);
      const [out, zeroed, json] = ['out.onnx', 'zeroed.onnx', 'report.json'].map(folder.of);
      const args = ['--random', '0.3', '--seed', '5', '--save-zeroed', zeroed, '--json', json, '--quiet'];
      const result = await run('strip', model, out, ...args);
      expect(result).toMatchObject({ exit: 0, err: '' });
      expect(result.out).toContain('Set to zero: 3 of 10 units (0.3 of every family, seed 5). Gone: 3.');
      expect(result.out).toContain('Parameters: 83 before, 59 after, 24 (28.92 %) gone.');
      expect(result.out.replaceAll('\n', ' ')).toMatch(
        /Proved on batches of 1 and 3 drawn inputs, output output: they differ by at most \S+ of the largest value/,
      );
      const report = JSON.parse(await readFile(json, 'utf8'));
      expect(report.zeroed).toEqual({ ratio: 0.3, units: 3, of: 10, path: zeroed });
      expect(report.proof).toMatchObject({ inputs: 'drawn', batches: [1, 3], outputs: ['output'], allowed: 1e-4 });
      const weight = tensorOf(readModel(zeroed).model.graph.initializer.find((t) => t.name === 'dense1.weight')!);
      const rows = Array.from({ length: 10 }, (_, o) => weight.data.slice(o * 4, o * 4 + 4) as Float32Array);
      expect(rows.filter((row) => row.every((x) => x === 0)).length).toBe(3);
    });
  });

  it('draws the same units from the same seed, others from another', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', net);
      const zeroedBy = async (seed: string) => {
        const path = folder.of(`zeroed${seed}.onnx`);
        await run('strip', model, folder.of('out.onnx'), '--random', '0.5', '--seed', seed, '--save-zeroed', path);
        return readFile(path);
      };
      const first = await zeroedBy('1');
      expect(first.equals(await zeroedBy('1'))).toBe(true);
      expect(first.equals(await zeroedBy('2'))).toBe(false);
    });
  });

  it('takes sample inputs, and proves at batch 1 as well', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', net);
      const samples = await folder.put(
        'in.npz',
        npz({ input: [[2, 4], Float32Array.from({ length: 8 }, (_, i) => Math.sin(i))] }),
      );
      const { exit, out } = await run('strip', model, folder.of('out.onnx'), '--random', '0.3', '--inputs', samples);
      expect(exit).toBe(0);
      expect(out).toContain('Proved on batches of 1 and 2 given inputs');
    });
  });

  it('zeroes weights of a second file as well', async () => {
    await inFolder(async (folder) => {
      const data = Float32Array.from({ length: 40 }, (_, i) => Math.cos(i));
      const outside = {
        ...makeTensor('dense1.weight', float32([10, 4], [])),
        dims: [10, 4],
        dataLocation: 1,
        externalData: [{ key: 'location', value: 'in.data' }],
      };
      const initializer = net.graph.initializer.map((t) => (t.name === 'dense1.weight' ? outside : t));
      await folder.put('in.data', new Uint8Array(data.buffer));
      const model = await folder.put('in.onnx', { ...net, graph: { ...net.graph, initializer } });
      const { exit, out } = await run('strip', model, folder.of('out.onnx'), '--random', '0.5');
      expect(out).toContain('Gone: 5.');
      expect(out).toMatch(/largest drift +│ +— │ +(0|\d\.\d+e-[678])/);
      expect(exit).toBe(0);
    });
  });

  it.each([
    ['a share of nothing', ['--random', '0'], /--random <share>[\s\S]*above 0/],
    ['more than all', ['--random', '1.5'], /up to 1/],
    ['a zeroed model without zeros', ['--save-zeroed', 'z.onnx'], /without --random/],
    ['one file for both', ['--random', '0.5', '--save-zeroed', 'OUT'], /cannot be the same file/],
    ['one file for input and zeros', ['--random', '0.5', '--save-zeroed', 'IN'], /the input file itself/],
  ])('refuses %s', async (_, args, message) => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', net);
      const out = folder.of('out.onnx');
      const given = args.map((arg) => ({ OUT: out, IN: model })[arg] ?? arg);
      const { exit, err } = await run('strip', model, out, ...given, '--quiet');
      expect(err).toMatch(message);
      expect(exit).toBe(2);
      expect(await readdir(folder.path)).toEqual(['in.onnx']);
      expect(existsSync('z.onnx')).toBe(false);
    });
  });
});
