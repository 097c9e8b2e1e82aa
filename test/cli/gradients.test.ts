import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { mlp } from '../../models/index.js';
import type { GradientReport } from '../../src/checkGradients.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import { float32, int64 } from '../../src/tensor/tensor.js';
import { npz } from '../data/zip.js';
import { missing, zooFile } from '../zoo/zoo.js';
import { type Folder, inFolder, run } from './run.js';

async function reported(folder: Folder, ...args: string[]): Promise<{ exit: number; report: GradientReport }> {
  const json = folder.of('gradients.json');
  const { exit } = await run('check-gradients', ...args, '--json', json, '--quiet');
  return { exit, report: JSON.parse(await readFile(json, 'utf8')) };
}

describe('check-gradients', () => {
  it('refuses what lies before an If that cannot be taken apart, and checks the rest', async () => {
    const branch = (op: string, inputs: readonly string[], attributes = {}) => ({
      graph: makeGraph({
        node: [makeNode(op, inputs, [`${op}/out`], attributes)],
        output: [makeValueInfo(`${op}/out`, 'float32')],
      }),
    });
    const branches = { then_branch: branch('Sin', ['h']), else_branch: branch('Concat', ['h', 'h'], { axis: 1 }) };
    const weight = (name: string, dims: readonly number[], by: number) =>
      makeTensor(
        name,
        float32(
          dims,
          Float32Array.from({ length: dims[0] * dims[1] }, (_, i) => Math.sin(by * i + 1)),
        ),
      );
    const graph = makeGraph({
      node: [
        makeNode('MatMul', ['x', 'w1'], ['h']),
        makeNode('ReduceMax', ['x'], ['top'], { keepdims: 0 }),
        makeNode('Cast', ['top'], ['c'], { to: 9 }),
        makeNode('If', ['c'], ['o'], branches, { name: 'choice' }),
        makeNode('ReduceMean', ['o'], ['m'], { axes: [1] }),
        makeNode('MatMul', ['m', 'w2'], ['y']),
      ],
      input: [makeValueInfo('x', 'float32', ['N', 5])],
      output: [makeValueInfo('y', 'float32', ['N', 3])],
      initializer: [weight('w1', [5, 4], 1), weight('w2', [1, 3], 2)],
    });
    await inFolder(async (folder) => {
      const { exit, report } = await reported(folder, await folder.put('in.onnx', makeModel(graph, 17)));
      expect(exit).toBe(0);
      expect(report.checks.map((c) => [c.name, c.verdict, c.why])).toEqual([
        ['w1', 'refused', 'If choice has no gradient: which branch it takes depends on data'],
        ['w2', 'ok', undefined],
      ]);
    });
  });

  it('holds them to central differences, and lists what is not trained', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', mlp({ inputs: 5, hidden: [8], outputs: 3 }));
      const { exit, out, err } = await run('check-gradients', model, '--quiet');
      expect({ exit, err }).toEqual({ exit: 0, err: '' });
      expect(out).toMatch(/^dense1\.weight +\[8,5\] +\S+ +— +\S+ {2}ok$/m);
      expect(out).toContain('All that was compared agrees.');
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    });
  });

  it('writes what it computed, which another run can be held to; one figure that is 5 % off is noticed', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', mlp({ inputs: 5, hidden: [4], outputs: 3 }));
      const { report } = await reported(folder, model);
      expect(report.dotSeeds.length).toBe(2);
      const path = folder.of('reference.json');
      const held = async (change: (r: GradientReport) => void) => {
        const copy: GradientReport = structuredClone(report);
        change(copy);
        await writeFile(path, JSON.stringify(copy));
        return run('check-gradients', model, '--reference', path, '--quiet');
      };
      const same = await held(() => {});
      expect(same).toMatchObject({ exit: 0, err: '' });
      expect(same.out).toMatch(/Loss \S+, expected \S+: ok\./);
      const wrong = async (name: string, change: (r: GradientReport) => void) => {
        const { exit, out, err } = await held(change);
        expect({ name, exit }).toEqual({ name, exit: 7 });
        expect(out).toContain('WRONG');
        expect(err).toMatch(/hint:[\s\S]*GRADIENT_WRONG \(exit code 7\)/);
      };
      await wrong('loss', (r) => Object.assign(r, { loss: r.loss * 1.05 }));
      for (const [name, { l2, dot }] of Object.entries(report.params)) {
        await wrong(`l2 of ${name}`, (r) => Object.assign(r.params[name], { l2: l2 * 1.05 }));
        for (const [k, d] of dot.entries()) {
          if (Math.abs(d) < 0.3 * l2) continue;
          await wrong(`dot ${k} of ${name}`, (r) =>
            Object.assign(r.params[name], { dot: dot.map((x, i) => (i === k ? x * 1.05 : x)) }),
          );
        }
      }
    });
  });

  it('takes inputs from a file', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', mlp({ inputs: 2, hidden: [4], outputs: 1 }));
      const samples = await folder.put('in.npz', npz({ input: [[1, 2], Float32Array.from([0, 0])] }));
      const { report } = await reported(folder, model, '--inputs', samples);
      expect(report.params['dense1.weight'].l2).toBe(0);
      expect(report.params['dense2.bias'].l2).toBeGreaterThan(0);
    });
  });

  it('trains what constants are made of where that is asked for', async () => {
    const wave = (name: string, dims: readonly number[]) =>
      makeTensor(
        name,
        float32(
          dims,
          Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.cos(i + name.length)),
        ),
      );
    const graph = makeGraph({
      node: [
        makeNode('ReduceL2', ['v'], ['length'], { axes: [0], keepdims: 1 }),
        makeNode('Div', ['v', 'length'], ['direction']),
        makeNode('Mul', ['direction', 'gain'], ['w']),
        makeNode('Shape', ['x'], ['size'], { start: 0, end: 1 }),
        makeNode('Concat', ['size', 'rest'], ['sizes'], { axis: 0 }),
        makeNode('Expand', ['token', 'sizes'], ['tokens']),
        makeNode('Concat', ['tokens', 'x'], ['seq'], { axis: 1 }),
        makeNode('MatMul', ['seq', 'w'], ['y']),
      ],
      initializer: [
        wave('v', [5, 4]),
        wave('gain', [1, 4]),
        wave('token', [1, 1, 5]),
        makeTensor('rest', int64([2], [1, 5])),
      ],
      input: [makeValueInfo('x', 'float32', ['N', 3, 5])],
      output: [makeValueInfo('y', 'float32', ['N', 4, 4])],
    });
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', makeModel(graph, 17));
      const { exit, report } = await reported(folder, model, '--train', '*');
      expect(exit).toBe(0);
      expect(report.checks.map((c) => [c.name, c.verdict])).toEqual(
        expect.arrayContaining([
          ['v', 'ok'],
          ['gain', 'ok'],
          ['token', 'ok'],
        ]),
      );
    });
  });

  it('says of single parameters that an operator behind them has no gradient', async () => {
    await inFolder(async (folder) => {
      const weight = (name: string) => makeTensor(name, float32([3, 3], [1, 2, -1, 0.5, 1, 3, -2, 1, 1]));
      const graph = makeGraph({
        node: [
          makeNode('MatMul', ['x', 'a'], ['h'], {}, { name: 'first' }),
          makeNode('Round', ['h'], ['r'], {}, { name: 'rounding' }),
          makeNode('MatMul', ['r', 'b'], ['y'], {}, { name: 'second' }),
        ],
        initializer: [weight('a'), weight('b')],
        input: [makeValueInfo('x', 'float32', ['batch', 3])],
        output: [makeValueInfo('y', 'float32', ['batch', 3])],
      });
      const model = await folder.put('in.onnx', makeModel(graph, 17));
      const { exit, report } = await reported(folder, model);
      expect(exit).toBe(0);
      expect(report.checks).toMatchObject([
        { name: 'a', verdict: 'refused', why: expect.stringContaining('Round') },
        { name: 'b', verdict: 'ok' },
      ]);
    });
  });

  it.each([
    ['no JSON', '{', 4, /no JSON/],
    ['no gradients', '{"grad": {"rSeeds": [1], "dotSeeds": []}}', 4, /params/],
    ['another model', '{"rSeeds": [1], "dotSeeds": [], "params": {"x": {"l2": 1, "dot": []}}}', 4, /speaks of 'x'/],
    [
      'figures missing',
      '{"rSeeds": [1], "dotSeeds": [2], "params": {"x": {"l2": 1, "dot": []}}}',
      4,
      /one dot for each/,
    ],
    ['seeds missing', '{"rSeeds": [1, 2], "dotSeeds": [], "params": {}}', 4, /2 rSeeds for 1 outputs/],
  ])('a reference with %s is refused', async (_, text, code, message) => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', mlp());
      const path = await folder.put('reference.json', text);
      const { exit, err } = await run('check-gradients', model, '--reference', path, '--quiet');
      expect(err).toMatch(message);
      expect(err).toMatch(/hint:/);
      expect(exit).toBe(code);
    });
  });

  it.skipIf(missing)('agrees with the reference of another framework, weights drawn from seeds', async () => {
    const model = zooFile('mlp_mnist.train.onnx');
    const { exit, out } = await run(
      'check-gradients',
      model,
      '--reference',
      zooFile('mlp_mnist.train.json'),
      '--quiet',
    );
    expect(exit).toBe(0);
    expect(out).toMatch(/Parameters: 10 ok, 2 not trained\. Compared with the reference/);
  });

  it.skipIf(missing)('computes the loss on outputs as they are, not on the logits before them', async () => {
    const model = zooFile('lenet5.plain.onnx');
    const { exit, out } = await run('check-gradients', model, '--reference', zooFile('lenet5.plain.json'), '--quiet');
    expect({ exit, wrong: out.includes('WRONG') }).toEqual({ exit: 0, wrong: false });
  });
});
