import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { examine } from '../../src/doctor.js';
import { probeDevices } from '../../src/doctor/devices.js';
import type { Diagnosis } from '../../src/doctor/diagnosis.js';
import { openLibraries } from '../../src/doctor/libraries.js';
import { thisMachine } from '../../src/doctor/machine.js';
import { providers } from '../../src/runtime/providers.js';
import { icd, type Made, onMachine, pci, runtime } from './machine.js';

beforeEach(() => {
  vi.stubEnv('CGES_TFJS_DIR', '/nowhere');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const LOADER = { '/usr/lib/x86_64-linux-gnu/libvulkan.so.1': '' };
const DEBIAN = { '/etc/os-release': 'ID=debian\n' };
const FEDORA = { '/etc/os-release': 'ID="nobara"\nID_LIKE="rhel centos fedora"\n' };
const AMD = pci('0x1002');
const NVIDIA = pci('0x10de', '0x030200');

const examined = (made: Made): Promise<Diagnosis> => onMachine(made, (machine) => examine(machine, { timeout: 20 }));

describe('a machine without anything', () => {
  it('is described all the same, with nothing proposed that could not help', async () => {
    const found = await examined({ env: { PATH: '' } });
    expect(found.devices).toMatchObject({ state: 'missing', what: 'no GPU', devices: [] });
    expect(found.graphics).toMatchObject({ state: 'missing', drivers: [] });
    expect(found.graphics.what).toBe('no loader (libvulkan.so.1); without a GPU it would be of no use');
    expect(Object.values(found.nvidia).map((f) => f.state)).toEqual(['useless', 'useless', 'useless']);
    expect(found.onnxruntime).toMatchObject({ state: 'missing', command: 'npm install onnxruntime-node' });
    const commands = [found.devices, found.graphics, ...Object.values(found.nvidia)].map((f) => f.command);
    expect(commands.filter(Boolean)).toEqual([]);
    expect(found.training).toMatchObject({
      engine: 'onnxruntime',
      provider: 'cpu',
      providers: [],
      why: expect.stringMatching(/not load/),
    });
  });

  it('has a line for a probe that throws', async () => {
    const made: Made = { platform: 'win32', programs: { 'powershell.exe': 'no JSON' } };
    const { devices, nvidia } = await examined(made);
    expect(devices).toMatchObject({ state: 'unknown', what: expect.stringMatching(/^could not be found out: .*JSON/) });
    expect(nvidia.driver).toMatchObject({ state: 'missing' });
  });
});

describe('graphics devices', () => {
  const found = (made: Made) => onMachine(made, (machine) => probeDevices(machine));

  it('are found on the bus; displays of virtual machines are none to compute on', async () => {
    expect((await found({ files: AMD })).devices).toEqual([
      { vendor: 'AMD', name: 'AMD device 0x1234', computes: true },
    ]);
    expect(await found({ files: pci('0x1af4') })).toMatchObject({
      state: 'missing',
      what: 'no GPU, only display of vendor 0x1af4 device 0x1234',
    });
    expect((await found({ files: pci('0x8086', '0x020000') })).devices).toEqual([]);
  });

  it('of NVIDIA are named by nvidia-smi', async () => {
    const made = { files: NVIDIA, programs: { 'nvidia-smi': 'NVIDIA L4, 23034\nNVIDIA L4, [N/A]\n' } };
    expect(await found(made)).toMatchObject({
      what: 'NVIDIA L4, 24.2 GB; NVIDIA L4',
      devices: [{ vendor: 'NVIDIA', memoryBytes: 23034 * 2 ** 20 }, { vendor: 'NVIDIA' }],
    });
  });

  it('of a system on a chip are found by their files', async () => {
    const files = { '/dev/dri/renderD128': '', '/sys/class/drm/renderD128/device/uevent': 'DRIVER=panfrost\n' };
    expect((await found({ files, arch: 'arm64' })).what).toBe('a GPU of the driver panfrost');
  });

  it('are told by macOS and Windows', async () => {
    const mac = JSON.stringify({ SPDisplaysDataType: [{ _name: 'x', sppci_model: 'Apple M2' }] });
    expect(await found({ platform: 'darwin', programs: { system_profiler: mac } })).toMatchObject({
      devices: [{ vendor: 'Apple', name: 'Apple M2', computes: true }],
    });
    const windows = JSON.stringify([
      { Name: 'NVIDIA GeForce RTX 3060', AdapterRAM: 4293918720 },
      { Name: 'Microsoft Basic Display Adapter', AdapterRAM: 0 },
    ]);
    expect((await found({ platform: 'win32', programs: { 'powershell.exe': windows } })).devices).toEqual([
      { vendor: 'NVIDIA', name: 'NVIDIA GeForce RTX 3060', computes: true },
      { vendor: 'other', name: 'Microsoft Basic Display Adapter', computes: false },
    ]);
  });
});

describe('Vulkan', () => {
  const graphics = async (made: Made) => (await examined(made)).graphics;

  it('without its loader is brought by the packages of the distribution', async () => {
    expect(await graphics({ files: { ...AMD, ...DEBIAN } })).toMatchObject({
      state: 'missing',
      command: 'apt-get install libvulkan1',
    });
    expect(await graphics({ files: { ...AMD, ...FEDORA } })).toMatchObject({ command: 'dnf install vulkan-loader' });
    expect((await graphics({ files: AMD })).command).toMatch(/^https:/);
  });

  it('reads drivers where the loader does, and calls broken what names a library that is not there', async () => {
    const files = {
      ...LOADER,
      '/usr/share/vulkan/icd.d/radeon_icd.x86_64.json': icd('libvulkan_radeon.so'),
      '/usr/share/vulkan/icd.d/radeon_icd.i686.json': icd('libvulkan_radeon32.so', { library_arch: '32' }),
      '/usr/lib/libvulkan_radeon.so': '',
      '/etc/vulkan/icd.d/gone_icd.json': icd('/opt/gone/libgone.so'),
      '/etc/vulkan/icd.d/readme.txt': '',
      '/home/me/.local/share/vulkan/icd.d/damaged.json': '{',
      '/home/me/.local/share/vulkan/icd.d/empty.json': '{}',
      '/opt/sw/vk_swiftshader_icd.json': icd('./libvk_swiftshader.so'),
      '/opt/sw/libvk_swiftshader.so': '',
    };
    const { drivers } = await graphics({ files });
    expect(drivers.map((d) => [d.name, d.state, d.software])).toEqual([
      ['gone', 'broken', false],
      ['damaged', 'broken', false],
      ['empty', 'broken', false],
      ['radeon', 'found', false],
    ]);
    expect(drivers[0].what).toBe('/etc/vulkan/icd.d/gone_icd.json names /opt/gone/libgone.so, which is not there');
    const chosen = { VK_ICD_FILENAMES: '/opt/sw/vk_swiftshader_icd.json:/opt/none.json' };
    expect((await graphics({ files, env: chosen })).drivers).toMatchObject([
      { name: 'vk_swiftshader', state: 'found', software: true, library: './libvk_swiftshader.so' },
      { name: 'none', state: 'broken', what: '/opt/none.json cannot be read' },
    ]);
  });

  const mesa = {
    '/usr/share/vulkan/icd.d/radeon_icd.json': icd('/usr/lib/libvulkan_radeon.so'),
    '/usr/lib/libvulkan_radeon.so': '',
  };

  it('needs a driver for the GPU, a file in /dev/dri, and leave to open it', async () => {
    const files = { ...LOADER, ...DEBIAN, ...AMD };
    expect(await graphics({ files })).toMatchObject({ command: 'apt-get install mesa-vulkan-drivers' });
    expect(await graphics({ files: { ...files, ...mesa } })).toMatchObject({
      state: 'broken',
      what: 'the GPU has no /dev/dri/renderD*: the kernel has no driver loaded for it',
    });
    expect(await graphics({ files: { ...files, ...mesa, '/.dockerenv': '' } })).toMatchObject({
      command: 'docker run --device /dev/dri …',
    });
    expect(await graphics({ files: { ...files, ...mesa, '/dev/dri/renderD128': '' } })).toMatchObject({
      state: 'found',
      renderNodes: ['renderD128'],
    });
  });
});

describe('CUDA', () => {
  const driver = {
    '/proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar\n',
    '/dev/nvidiactl': '',
  };

  it('needs a driver, and one that is new enough', async () => {
    const bare = (await examined({ files: { ...NVIDIA, ...DEBIAN } })).nvidia.driver;
    expect(bare).toMatchObject({ state: 'missing', command: 'apt-get install nvidia-driver' });
    const boxed = (await examined({ files: { ...NVIDIA, ...DEBIAN, '/.dockerenv': '' } })).nvidia.driver;
    expect(boxed).toMatchObject({ state: 'missing', command: 'docker run --gpus all …' });
    const there = (await examined({ files: { ...NVIDIA, ...driver } })).nvidia.driver;
    expect(there).toMatchObject({ state: 'found', version: '550.54.15' });
    const old = { ...driver, '/proc/driver/nvidia/version': 'Kernel Module  470.82.01  Wed\n' };
    expect((await examined({ files: { ...NVIDIA, ...old } })).nvidia.driver).toMatchObject({
      state: 'broken',
      what: 'version 470.82.01 is too old: CUDA 12 needs 525 or newer',
    });
  });

  it('is missing where another version is there, and broken where the loader does not look', async () => {
    const ldconfig = [
      '\tlibcudart.so.13 (libc6,x86-64) => /usr/local/cuda-13/lib/libcudart.so.13',
      '\tlibcudnn.so.9 (libc6) => /lib32/libcudnn.so.9',
    ];
    const files = { ...NVIDIA, ...driver, ...DEBIAN };
    const { nvidia } = await examined({ files, programs: { ldconfig: ldconfig.join('\n') } });
    expect(nvidia.cuda12).toMatchObject({
      state: 'missing',
      command: expect.stringMatching(/^apt-get install cuda-libraries-12/),
    });
    expect(nvidia.cuda12.what).toMatch(/^libcudart\.so\.12 \(only libcudart\.so\.13\), .*libcudnn\.so\.9 not found$/);

    const all = ['cudart.so.12', 'cublasLt.so.12', 'cublas.so.12', 'cufft.so.11', 'curand.so.10', 'cudnn.so.9'];
    const aside = Object.fromEntries(all.map((name) => [`/usr/local/cuda-12.9/lib64/lib${name}`, '']));
    const made = { files: { ...files, ...aside } };
    expect((await examined(made)).nvidia.cuda12).toMatchObject({
      state: 'broken',
      command: 'export LD_LIBRARY_PATH=/usr/local/cuda-12.9/lib64:$LD_LIBRARY_PATH',
    });
    const told = await examined({ ...made, env: { LD_LIBRARY_PATH: '/usr/local/cuda-12.9/lib64' } });
    expect(told.nvidia.cuda12).toMatchObject({ state: 'found', what: 'all libraries' });
  });

  it('libraries of Windows are looked for on its path', async () => {
    const libraries = {
      platform: 'win32' as const,
      env: { PATH: '/cuda;/more' },
      files: { '/more/cudnn64_8.dll': '' },
    };
    await onMachine(libraries, async (machine) => {
      const { find } = await openLibraries(machine);
      expect(find('cudnn64_8.dll')).toMatchObject({ path: '/more/cudnn64_8.dll', loadable: true });
      expect(find('cudart64_110.dll').loadable).toBe(false);
    });
  });
});

describe('providers', () => {
  const ran = async (body: string, made: Made = {}) => {
    const { onnxruntime, training } = await examined({ ...made, onnxruntime: runtime(body) });
    return { training, of: Object.fromEntries(onnxruntime.providers.map((p) => [p.name, p])) };
  };
  const right = 'return Float32Array.of(7, 10, 15, 22);';
  const gpu: Made = { files: { ...AMD, ...LOADER } };

  it('are those of the runtime', async () => {
    const { of } = await ran(right);
    expect(Object.keys(of)).toEqual([...providers]);
  });

  it('work when what they compute is right', async () => {
    const { of, training } = await ran(`if (provider === 'webgpu') return [7, 10, 15, 23]; ${right}`, gpu);
    expect(of.cpu).toMatchObject({ state: 'works', what: 'computes', known: true, bundled: true });
    expect(of.cpu.startMs).toBeGreaterThanOrEqual(0);
    expect(of.webgpu).toMatchObject({ state: 'broken', what: 'computes wrongly: 7,10,15,23 instead of 7,10,15,22' });
    expect(of.dml).toMatchObject({ state: 'useless', known: false, what: 'is for Windows; this is linux x64' });
    expect(training).toMatchObject({ provider: 'cpu', providers: ['cpu'], engines: ['onnxruntime'] });
  });

  it('on a GPU are preferred, in software they are not', async () => {
    expect((await ran(right, gpu)).training).toMatchObject({ provider: 'webgpu', providers: ['cpu', 'webgpu'] });
    const { of, training } = await ran(right);
    expect(of.webgpu).toMatchObject({ state: 'works', software: true });
    expect(training).toMatchObject({ provider: 'cpu', providers: ['cpu', 'webgpu'] });
  });

  it.skipIf(process.platform === 'win32')('that crash the process are said to', async () => {
    const { of } = await ran(`if (provider === 'webgpu') process.kill(process.pid, 'SIGSEGV'); ${right}`, gpu);
    expect(of.webgpu).toMatchObject({ state: 'broken', what: 'ended by signal SIGSEGV while loading' });
    expect(of.cpu.state).toBe('works');
  });

  it('that never return are given up', async () => {
    const hangs = runtime(`if (provider === 'webgpu') for (;;); ${right}`);
    const { onnxruntime } = await onMachine({ ...gpu, onnxruntime: hangs }, (machine) =>
      examine(machine, { timeout: 2 }),
    );
    expect(onnxruntime.providers[1]).toMatchObject({ state: 'broken', what: 'took longer than 2 s while loading' });
  });

  it('tell why without the places in sources, with what drivers said', async () => {
    const thrown = '/onnxruntime_src/a.cc:136 Initialize()::<lambda()> x == y was false. No adapters\\n';
    const { of } = await ran(`console.error('Warning: no drivers'); throw new Error('${thrown}');`, gpu);
    expect(of.webgpu).toMatchObject({ state: 'broken', what: 'No adapters; no drivers' });
  });

  const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
  it.skipIf(!existsSync(swiftshader))(`compute in software by SwiftShader, where it is in ${swiftshader}`, async () => {
    const env = { ...process.env, VK_ICD_FILENAMES: swiftshader, XDG_RUNTIME_DIR: tmpdir() };
    const { graphics, onnxruntime } = await examine(thisMachine(env));
    expect(graphics.drivers).toMatchObject([{ name: 'vk_swiftshader', state: 'found', software: true }]);
    expect(onnxruntime.providers[1]).toMatchObject({ name: 'webgpu', state: 'works', software: true });
  });

  it('of CUDA are fetched where there is a device, and of no use elsewhere', async () => {
    expect((await ran(right)).of.cuda).toMatchObject({ state: 'useless', what: 'there is no NVIDIA device here' });
    const { of } = await ran(right, { files: NVIDIA });
    expect(of.cuda).toMatchObject({ state: 'missing', bundled: false });
    expect(of.cuda.command).toMatch(/^ONNXRUNTIME_NODE_INSTALL=true node "?\S+install\.js"?$/);
    const fetched = { ...NVIDIA, '/ort/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so': '' };
    const failing = await ran(
      `console.error('Failed to load library /a/libx.so with error: libcudnn.so.9: cannot open shared object file'); throw 1;`,
      { files: fetched },
    );
    expect(failing.of.cuda.what).toBe(
      'libcudnn.so.9: cannot open shared object file; first mend: NVIDIA driver and CUDA 12, cuDNN 9',
    );
    expect((await ran(right, { files: fetched })).training).toMatchObject({ provider: 'cuda' });
  });

  it('are none where onnxruntime itself does not load', async () => {
    const { onnxruntime } = await examined({ onnxruntime: "throw new Error('ERR_DLOPEN_FAILED\\nmore')" });
    expect(onnxruntime).toMatchObject({ state: 'broken', what: 'ERR_DLOPEN_FAILED', providers: [] });
    expect(onnxruntime.command).toBe('npm install onnxruntime-node');
    const alpine = await examined({ onnxruntime: "throw new Error('no')", files: { '/etc/alpine-release': '3.20' } });
    expect(alpine.onnxruntime.what).toBe('no; it needs the GNU C library, which Alpine Linux does not have');
    expect(alpine.onnxruntime.command).toBeUndefined();
  });
});

describe('Node', () => {
  it('that is too old is said to be', async () => {
    expect((await examined({ node: '20.18.3' })).node).toMatchObject({ state: 'broken', command: 'nvm install 22' });
    expect((await examined({ node: '24.1.0' })).node.state).toBe('works');
  });
});
