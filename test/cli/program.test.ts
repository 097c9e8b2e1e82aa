import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { describeFailure } from '../../cli/failure.js';
import { mlp } from '../../models/index.js';
import { CgesError } from '../../src/errors.js';
import { makeTensor } from '../../src/onnx/make.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { encodeModel } from '../../src/onnx/write.js';
import { float32 } from '../../src/tensor/tensor.js';
import { inFolder, run } from './run.js';

/** Four inputs, six hidden units of which two are dead, three outputs. */
function sparseNet(): ModelProto {
  const model = mlp({ inputs: 4, hidden: [6], outputs: 3 });
  const weight = model.graph.initializer.find((t) => t.name === 'dense1.weight')!;
  const values = Float32Array.from({ length: 24 }, (_, i) => (i < 8 ? 0 : Math.sin(i)));
  model.graph.initializer[model.graph.initializer.indexOf(weight)] = makeTensor(
    'dense1.weight',
    float32([6, 4], values),
  );
  return model;
}

describe('help', () => {
  it.each(['', 'strip', 'compare', 'inspect'])('of cges-compress %s', async (command) => {
    const { exit, out, err } = await run(...[command, '--help'].filter(Boolean));
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out.match(/^ {2}\$ cges-compress .*$/gm)!.length).toBeGreaterThanOrEqual(2);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(out).toMatchSnapshot();
  });

  it('is printed as an error where nothing was asked for', async () => {
    const { exit, out, err } = await run();
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toContain('Usage: cges-compress');
  });

  it('knows its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await run('--version')).toEqual({ exit: 0, out: `${version}\n`, err: '' });
  });
});

describe('what does not fit together is exit code 2, with a hint', () => {
  it.each([
    ['an unknown option', ['a.onnx', 'b.onnx', '--epoch', '3'], /unknown option '--epoch'[\s\S]*Did you mean --epochs/],
    [
      'a misspelt command',
      ['inspekt', 'a.onnx'],
      /there is no command 'inspekt'[\s\S]*did you mean cges-compress inspect/,
    ],
    ['a missing path', ['a.onnx'], /missing required argument 'out\.onnx'/],
    ['a path too many', ['inspect', 'a.onnx', 'b.onnx'], /too many arguments/],
    ['no number', ['a.onnx', 'b.onnx', '--batch', 'many'], /--batch <number>[\s\S]*whole number from 1/],
    ['no time', ['a.onnx', 'b.onnx', '--time-budget', '20'], /20m/],
    ['no known name', ['a.onnx', 'b.onnx', '--optimizer', 'lion'], /sgd, adam, adamw/],
  ])('%s', async (_, args, message) => {
    const { exit, out, err } = await run(...args);
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toMatch(message);
    expect(err).toMatch(/hint:/);
  });
});

describe('bad input is one clear error with its exit code, and nothing is written', () => {
  const whole = encodeModel(mlp());
  it.each([
    ['no such model', undefined, 3, /MODEL_NOT_FOUND/],
    ['a truncated model', whole.subarray(0, whole.length >> 1), 3, /MODEL_TRUNCATED/],
    ['a text', 'this is not a model', 3, /MODEL_NOT_ONNX/],
    ['an empty file', '', 3, /MODEL_NOT_ONNX/],
  ] as const)('%s', async (_, content, code, message) => {
    await inFolder(async (folder) => {
      if (content !== undefined) await folder.put('in.onnx', content);
      for (const command of [[], ['strip']]) {
        const data = command.length ? [] : ['--data', folder.path];
        const { exit, out, err } = await run(
          ...command,
          folder.of('in.onnx'),
          folder.of('out.onnx'),
          ...data,
          '--quiet',
        );
        expect(err).toMatch(message);
        expect({ exit, out }).toEqual({ exit: code, out: '' });
      }
      expect(existsSync(folder.of('out.onnx'))).toBe(false);
    });
  });

  it.each([
    ['missing data', 'nowhere', /DATA_NOT_FOUND/],
    ['an empty folder', 'empty', /DATA_INVALID[\s\S]*exit code 4/],
  ])('%s', async (_, data, message) => {
    await inFolder(async (folder) => {
      await mkdir(folder.of('empty'));
      const model = await folder.put('in.onnx', mlp());
      const { exit, err } = await run(model, folder.of('out.onnx'), '--data', folder.of(data), '--quiet');
      expect(err).toMatch(message);
      expect(err).toMatch(/hint:/);
      expect(exit).toBe(4);
      expect(await readdir(folder.path)).toEqual(['empty', 'in.onnx']);
    });
  });

  it.each([
    ['a folder that does not exist', (of: (name: string) => string) => of('no/such/out.onnx'), 8],
    ['a folder', (of: (name: string) => string) => of('folder'), 8],
    ['the input itself', (of: (name: string) => string) => of('in.onnx'), 2],
  ])('an output that is %s', async (_, output, code) => {
    await inFolder(async (folder) => {
      await mkdir(folder.of('folder'));
      const model = await folder.put('in.onnx', sparseNet());
      for (const command of [[], ['strip']]) {
        const data = command.length ? [] : ['--data', folder.path];
        const { exit, err } = await run(...command, model, output(folder.of), ...data, '--quiet');
        expect(err).toMatch(/hint:/);
        expect(exit).toBe(code);
      }
      expect(await readdir(folder.path)).toEqual(['folder', 'in.onnx']);
    });
  });

  it('a report that could not be written is known before the work', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', sparseNet());
      const { exit } = await run(
        'strip',
        model,
        folder.of('out.onnx'),
        '--json',
        folder.of('no/report.json'),
        '--quiet',
      );
      expect(exit).toBe(8);
      expect(await readdir(folder.path)).toEqual(['in.onnx']);
    });
  });
});

describe('errors say what, where, what to do, and the code', () => {
  it('of the catalogue', () => {
    const error = new CgesError('NO_GRADIENT', 'NonZero has no gradient', {
      file: 'm.onnx',
      node: 'n1',
      op: 'NonZero',
      hint: '--freeze "n1"',
    });
    expect(describeFailure(error, false)).toEqual({
      exit: 5,
      text: 'error: NonZero has no gradient\n  where: m.onnx, node n1 (NonZero)\n  hint:  --freeze "n1"\n  code:  NO_GRADIENT (exit code 5)\n',
    });
  });

  it('of our own making', () => {
    const { exit, text } = describeFailure(new TypeError('x is undefined'), false);
    expect(exit).toBe(1);
    expect(text).toContain('this is a bug in cges-compress: TypeError: x is undefined');
    expect(text).toContain('--debug');
  });

  it('with stacks of the causes for --debug only', () => {
    const error = new CgesError('MODEL_INVALID', 'broken', { cause: new Error('the cause') });
    expect(describeFailure(error, false).text).not.toContain('at ');
    expect(describeFailure(error, true).text).toMatch(/stack:[\s\S]*caused by:\nError: the cause\n {4}at /);
  });
});

describe('commands', () => {
  it('strip removes the dead units, keeps the outputs and says so', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('in.onnx', sparseNet());
      const { exit, out, err } = await run('strip', model, folder.of('out.onnx'), '--json', folder.of('report.json'));
      expect({ exit, out, err }).toMatchObject({ exit: 0 });
      expect(out).toMatch(/dense1 +│ +6 │ +4 /);
      expect(err).toContain('strip: ');
      const report = JSON.parse(await readFile(folder.of('report.json'), 'utf8'));
      expect(report).toMatchObject({
        schemaVersion: 1,
        command: 'strip',
        run: { engine: 'onnxruntime', provider: 'cpu', outcome: 'completed' },
        warnings: [],
      });
      expect(report.before.params).toBe(6 * 4 + 6 + 3 * 6 + 3);
      expect(report.after.params).toBe(4 * 4 + 4 + 3 * 4 + 3);
      expect(report.after.drift).toMatchObject({ against: 'before strip', differing: 0 });
      expect(report.output.bytes).toBe((await readFile(folder.of('out.onnx'))).length);
    });
  });

  it('compare sets two models side by side', async () => {
    await inFolder(async (folder) => {
      const a = await folder.put('a.onnx', sparseNet());
      await run('strip', a, folder.of('b.onnx'), '--quiet');
      const { exit, out, err } = await run('compare', a, folder.of('b.onnx'), '--quiet', '--threads', '1');
      expect({ exit, err }).toEqual({ exit: 0, err: '' });
      expect(out).toContain('a.onnx');
      expect(out).toMatch(/parameters +│ +51 │ +35 │ +1\.46× fewer/);
      expect(out).toMatch(/same predictions +│ +— │ +100\.00 %/);
    });
  });

  it('inspect lists layers, removable units, and what pins the others', async () => {
    await inFolder(async (folder) => {
      const model = await folder.put('net.onnx', sparseNet());
      const { exit, out } = await run('inspect', model, '--quiet', '--freeze', 'dense2.*');
      expect(exit).toBe(0);
      expect(out.slice(out.indexOf(': opset'))).toMatchSnapshot();
    });
  });
});
