import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findTfjs, requireTfjs } from '../../src/runtime/tfjs.js';
import { chooseEngine } from '../../src/train/chooseEngine.js';

/** A project with packages that are whole or not, without any TensorFlow. */
let folder: string;

function install(name: string, whole: boolean): string {
  const home = join(folder, 'node_modules', '@tensorflow', name);
  mkdirSync(join(home, 'lib', 'napi-v8'), { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version: '4.22.0' }));
  if (whole) writeFileSync(join(home, 'lib', 'napi-v8', 'tfjs_binding.node'), '');
  return home;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cges-tfjs-'));
  vi.stubEnv('CGES_TFJS_DIR', folder);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('looking for TensorFlow.js', () => {
  it('says that nothing is installed, and what would be', () => {
    expect(findTfjs()).toMatchObject({ missing: 'neither tfjs-node-gpu nor tfjs-node is installed', partial: false });
  });

  it('prefers the package for GPUs, and takes the other where that is half installed', () => {
    const cpu = install('tfjs-node', true);
    expect(findTfjs()).toEqual({ package: '@tensorflow/tfjs-node', version: '4.22.0', folder: cpu, gpu: false });
    install('tfjs-node-gpu', false);
    expect(findTfjs()).toMatchObject({ package: '@tensorflow/tfjs-node' });
    install('tfjs-node-gpu', true);
    expect(findTfjs()).toMatchObject({ package: '@tensorflow/tfjs-node-gpu', gpu: true });
  });

  it('tells a half-installed package in one line, with the command that completes it', () => {
    const home = install('tfjs-node', false);
    const missing = `@tensorflow/tfjs-node 4.22.0 in ${home} has no native binding: its install step did not finish`;
    expect(findTfjs()).toMatchObject({ missing, partial: true });
    expect(() => requireTfjs()).toThrow(`the tfjs engine cannot be used: ${missing}`);
    expect(() => requireTfjs()).toThrow(
      expect.objectContaining({
        code: 'PROVIDER_UNAVAILABLE',
        hint: expect.stringMatching(/^npm rebuild @tensorflow\/tfjs-node/),
      }),
    );
  });
});

describe('choosing an engine', () => {
  it('takes onnxruntime where there is no TensorFlow, and says so only where one is half installed', async () => {
    expect(await chooseEngine('auto', 'cpu')).toEqual({ engine: 'onnxruntime' });
    install('tfjs-node-gpu', false);
    expect(await chooseEngine('auto', 'cpu')).toMatchObject({
      engine: 'onnxruntime',
      refused: expect.stringContaining('no native binding'),
    });
    expect(await chooseEngine('auto', 'webgpu')).toEqual({ engine: 'onnxruntime' });
  });

  it.each(['tfjs-node', 'tfjs-node-gpu'])('goes back to onnxruntime where %s does not load', async (name) => {
    install(name, true);
    expect(await chooseEngine('auto', 'cpu')).toMatchObject({
      engine: 'onnxruntime',
      refused: expect.stringContaining(`@tensorflow/${name} 4.22.0 does not load`),
    });
    expect(await chooseEngine('auto', 'webgpu')).toEqual({ engine: 'onnxruntime' });
    expect(await chooseEngine('onnxruntime', 'cpu')).toEqual({ engine: 'onnxruntime' });
    expect(await chooseEngine('tfjs', 'cpu')).toEqual({ engine: 'tfjs' });
  });
});
