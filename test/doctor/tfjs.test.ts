import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { examine } from '../../src/doctor.js';
import { type Made, onMachine, pci, runtime } from './machine.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cges-doctor-tfjs-'));
  vi.stubEnv('CGES_TFJS_DIR', folder);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A package whose main file is this, whole or without its native half. */
function install(name: string, main?: string): void {
  const home = join(folder, 'node_modules', '@tensorflow', name);
  mkdirSync(join(home, 'lib', 'napi-v8'), { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version: '4.22.0' }));
  if (main === undefined) return;
  writeFileSync(join(home, 'lib', 'napi-v8', 'tfjs_binding.node'), '');
  writeFileSync(join(home, 'index.js'), main);
}

const fake = (gpu: boolean) => `
  exports.tensor2d = () => 0;
  exports.matMul = () => ({ dataSync: () => [7, 10, 15, 22] });
  exports.backend = () => ({ binding: { isUsingGpuDevice: () => ${gpu} } });`;

const found = async (made: Made = {}) =>
  onMachine({ env: { CGES_TFJS_DIR: folder }, ...made }, async (machine) => {
    const { tfjs, training } = await examine(machine, { timeout: 20 });
    return { gpu: tfjs[0], cpu: tfjs[1], training };
  });

const NVIDIA: Made = { files: pci('0x10de') };

it('is proposed where it can work', async () => {
  expect(await found()).toMatchObject({
    gpu: { state: 'useless', what: 'there is no NVIDIA device here' },
    cpu: { state: 'missing', command: `npm install --prefix ${folder} @tensorflow/tfjs-node` },
  });
  const { gpu } = await found({ ...NVIDIA, env: {}, node: '24.0.0' });
  expect(gpu).toMatchObject({ state: 'missing', command: 'npm install @tensorflow/tfjs-node-gpu' });
  expect(gpu.what).toContain('made for Node up to 22');
  expect((await found({ ...NVIDIA, arch: 'arm64' })).gpu.state).toBe('useless');
});

it('is completed where it is half installed', async () => {
  install('tfjs-node');
  const { cpu } = await found();
  expect(cpu).toMatchObject({ state: 'broken', command: `npm rebuild --prefix ${folder} @tensorflow/tfjs-node` });
  expect(cpu.what).toContain('its install step did not finish');
});

it('works when it computes, on the device that it reaches', async () => {
  install('tfjs-node', fake(false));
  install('tfjs-node-gpu', fake(true));
  const { cpu, gpu, training } = await found({ ...NVIDIA, onnxruntime: runtime('return [7, 10, 15, 22]', ['cpu']) });
  expect(cpu).toMatchObject({ state: 'works', what: '4.22.0, computes on the processor', device: 'cpu' });
  expect(gpu).toMatchObject({ state: 'works', what: '4.22.0, computes on the GPU', device: 'cuda' });
  expect(training).toMatchObject({ engine: 'tfjs', provider: 'cuda', engines: ['onnxruntime', 'tfjs'] });
  expect((await found(NVIDIA)).training).toMatchObject({ providers: [], engines: [] });
});

it('for GPUs that finds none tells which libraries it lacks', async () => {
  install('tfjs-node-gpu', fake(false));
  const { gpu, training } = await found(NVIDIA);
  expect(gpu).toMatchObject({ state: 'works', device: 'cpu' });
  expect(gpu.what).toMatch(/finds no GPU and computes on the processor: CUDA 11\.2, cuDNN 8\.1: libcudart\.so\.11\.0/);
  expect(training).toMatchObject({ engine: 'onnxruntime', provider: 'cpu' });
});

it('that does not load is told why', async () => {
  install('tfjs-node', `throw new Error('libtensorflow.so.2: cannot open shared object file')`);
  expect((await found()).cpu).toMatchObject({
    state: 'broken',
    what: expect.stringMatching(/libtensorflow\.so\.2/),
    version: '4.22.0',
  });
});
