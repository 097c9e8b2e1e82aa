import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runAlone } from '../../cli/alone.js';
import { printDiagnosis } from '../../cli/doctor.js';
import { examine } from '../../src/doctor.js';
import type { Diagnosis } from '../../src/index.js';
import { findTfjs } from '../../src/runtime/tfjs.js';
import { icd, onMachine, pci, runtime } from '../doctor/machine.js';
import { inFolder, run } from './run.js';

const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describe('doctor', () => {
  it('prints what this machine has, or its JSON, and writes the same', async () => {
    await inFolder(async (folder) => {
      const printed = await run('doctor', '--json', folder.of('machine.json'));
      expect(printed).toMatchObject({ exit: 0, err: '' });
      expect(printed.out).toMatch(/^Node +works {4}\d+\.\d+/);
      expect(printed.out).toMatch(/^ {2}cpu +works {4}computes$/m);
      expect(printed.out).toMatch(/^Training here: .*\n(.*\n)*--provider: auto, cpu.*\n--engine: auto, onnxruntime/m);
      expect(widest(printed.out)).toBeLessThanOrEqual(80);
      const written: Diagnosis = JSON.parse(await readFile(folder.of('machine.json'), 'utf8'));
      expect(written).toMatchObject({ schemaVersion: 1, command: 'doctor', node: { version: process.versions.node } });
      expect(written.training.providers).toContain('cpu');
      const tfjs = findTfjs();
      if (!('missing' in tfjs)) {
        expect(written.tfjs.find((p) => p.name === tfjs.package)).toMatchObject({
          state: 'works',
          folder: tfjs.folder,
        });
      }
    });
  });

  it('prints JSON alone where no file is named', async () => {
    const { exit, out, err } = await run('doctor', '--json');
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ schemaVersion: 1, command: 'doctor' });
  });

  it('shows commands unbroken, and long reasons in their column', async () => {
    const files = {
      ...pci('0x10de'),
      '/etc/os-release': 'ID=ubuntu\n',
      '/lib/libvulkan.so.1': '',
      '/etc/vulkan/icd.d/nvidia_icd.json': icd('/usr/lib/a/very/long/path/to/a/library/of/the/driver/libGLX_nvidia.so'),
    };
    const made = { files, onnxruntime: runtime('return [7, 10, 15, 22]') };
    const text = await onMachine(made, async (machine) => printDiagnosis(await examine(machine)));
    expect(text).toContain(
      '\n  driver               missing  the kernel has none loaded\n    → ubuntu-drivers install\n',
    );
    expect(text).toContain('    → apt-get install cuda-libraries-12-9 libcudnn9-cuda-12\n');
    expect(text).toContain('\n  nvidia               broken   /etc/vulkan/icd.d/nvidia_icd.json names\n');
    const prose = text.split('\n').filter((line) => !line.startsWith('    →'));
    expect(widest(prose.join('\n'))).toBeLessThanOrEqual(80);
  });

  it('has help with examples', async () => {
    const { exit, out } = await run('doctor', '--help');
    expect(exit).toBe(0);
    expect(out.match(/^ {2}\$ cges-compress .*$/gm)).toHaveLength(2);
    expect(widest(out)).toBeLessThanOrEqual(80);
  });
});

describe('where a library of native code does not load', () => {
  const alone = async (...args: string[]) => {
    const printed = { out: '', err: '' };
    const stream = (name: 'out' | 'err') => ({ write: (text: string) => (printed[name] += text) });
    const cause = Object.assign(new Error('libonnxruntime.so.1: not found\nmore'), { code: 'ERR_DLOPEN_FAILED' });
    const exit = await runAlone(args, { out: stream('out'), err: stream('err') }, cause);
    return { exit, ...printed };
  };

  it('the doctor runs all the same, and other commands point to it', async () => {
    expect(await alone('doctor')).toMatchObject({ exit: 0, err: '', out: expect.stringContaining('Training here: ') });
    const { exit, out, err } = await alone('inspect', 'a.onnx');
    expect({ exit, out }).toEqual({ exit: 9, out: '' });
    expect(err).toContain('a library does not load: libonnxruntime.so.1: not found\n');
    expect(err).toContain('cges-compress doctor');
  });

  it('the whole command line is left out, and the doctor tells what does not load', async () => {
    await inFolder(async (folder) => {
      const hook = `const all = require('node:module')._extensions; const load = all['.node'];
        all['.node'] = (module, file) => {
          if (file.includes('onnxruntime')) throw Object.assign(new Error('no onnxruntime'), { code: 'ERR_DLOPEN_FAILED' });
          return load(module, file);
        };`;
      const NODE_OPTIONS = `--require ${JSON.stringify(await folder.put('hook.cjs', hook))}`;
      const cwd = new URL('../../', import.meta.url);
      const options = { cwd, env: { ...process.env, NODE_OPTIONS, CGES_TFJS_DIR: folder.path } };
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', 'cli/main.ts', 'doctor'],
        options,
      );
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^onnxruntime-node +broken +no onnxruntime\n {4}→ npm install onnxruntime-node$/m);
    });
  });
});
