import { hasVendor } from './devices.js';
import type { DevicesFacts, DriverFacts, LibrariesFacts, LibraryFacts, NvidiaFacts } from './diagnosis.js';
import type { Libraries } from './libraries.js';
import { exists, inContainer, type Machine, textOf } from './machine.js';
import { type Part, remedyFor } from './packages.js';
import { soft } from './soft.js';

/** What onnxruntime's cuda provider is linked with. */
const CUDA_12 = [
  'libcudart.so.12',
  'libcublasLt.so.12',
  'libcublas.so.12',
  'libcufft.so.11',
  'libcurand.so.10',
  'libcudnn.so.9',
];

/** What TensorFlow 2.9, which tfjs-node-gpu brings, opens on a GPU. */
const CUDA_11 = {
  linux: ['libcudart.so.11.0', 'libcublas.so.11', 'libcublasLt.so.11', 'libcudnn.so.8'],
  win32: ['cudart64_110.dll', 'cublas64_11.dll', 'cudnn64_8.dll'],
};

/** The oldest driver that runs CUDA 12. */
const OLDEST_DRIVER = 525;

/** Finds NVIDIA's driver, and the libraries that the cuda provider and tfjs-node-gpu need. */
export async function probeNvidia(machine: Machine, devices: DevicesFacts, libraries: Libraries): Promise<NvidiaFacts> {
  const names = { driver: 'NVIDIA driver', cuda12: 'CUDA 12, cuDNN 9', cuda11: 'CUDA 11.2, cuDNN 8.1' };
  if (devices.state !== 'unknown' && !hasVendor(devices, 'NVIDIA')) {
    const nothing = { state: 'useless', what: 'there is no NVIDIA device here' } as const;
    return {
      driver: { name: names.driver, ...nothing },
      cuda12: { name: names.cuda12, ...nothing, libraries: [] },
      cuda11: { name: names.cuda11, ...nothing, libraries: [] },
    };
  }
  return {
    driver: await soft<DriverFacts>(names.driver, {}, () => driverOf(machine, names.driver)),
    cuda12: await soft<LibrariesFacts>(names.cuda12, { libraries: [] }, () =>
      machine.platform === 'linux' && machine.arch === 'x64'
        ? librariesOf(machine, libraries, names.cuda12, CUDA_12, 'cuda 12')
        : noUse(names.cuda12, 'onnxruntime-node brings the cuda provider for Linux on x64 only'),
    ),
    cuda11: await soft<LibrariesFacts>(names.cuda11, { libraries: [] }, () =>
      (machine.platform === 'linux' || machine.platform === 'win32') && machine.arch === 'x64'
        ? librariesOf(machine, libraries, names.cuda11, CUDA_11[machine.platform], 'cuda 11')
        : noUse(names.cuda11, 'tfjs-node-gpu exists for Linux and Windows on x64 only'),
    ),
  };
}

function noUse(name: string, what: string): LibrariesFacts {
  return { name, state: 'useless', what, libraries: [] };
}

async function driverOf(machine: Machine, name: string): Promise<DriverFacts> {
  const version = await driverVersion(machine);
  if (version === undefined) return { name, ...withoutDriver(machine) };
  if (machine.platform === 'linux' && Number.parseInt(version) < OLDEST_DRIVER) {
    const what = `version ${version} is too old: CUDA 12 needs ${OLDEST_DRIVER} or newer`;
    return { name, state: 'broken', what, version, ...remedyFor(machine, 'nvidia driver') };
  }
  return { name, state: 'found', what: `version ${version}`, version };
}

async function driverVersion(machine: Machine): Promise<string | undefined> {
  const told = /Module[^\n]*?\s(\d+(?:\.\d+)+)/.exec(textOf(machine, '/proc/driver/nvidia/version') ?? '')?.[1];
  const seen = machine.platform === 'win32' || exists(machine, '/dev/nvidiactl') || exists(machine, '/dev/dxg');
  if (told && seen) return told;
  for (const program of ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']) {
    const { ok, out } = await machine.run(program, ['--query-gpu=driver_version', '--format=csv,noheader'], 10);
    if (ok && /^\d/.test(out)) return out.split('\n')[0].trim();
  }
  return undefined;
}

function withoutDriver(machine: Machine): Omit<DriverFacts, 'name'> {
  if (inContainer(machine)) {
    const what = 'this container was not given the NVIDIA device of its host';
    return { state: 'missing', what, command: 'docker run --gpus all …' };
  }
  if (machine.platform !== 'linux') {
    return { state: 'missing', what: 'nvidia-smi does not answer', command: 'https://www.nvidia.com/drivers' };
  }
  return { state: 'missing', what: 'the kernel has none loaded', ...remedyFor(machine, 'nvidia driver') };
}

function librariesOf(
  machine: Machine,
  libraries: Libraries,
  name: string,
  wanted: readonly string[],
  part: Part,
): LibrariesFacts {
  const found = wanted.map((library) => libraries.find(library));
  const missing = found.filter((l) => !l.loadable);
  if (missing.length === 0) return { name, state: 'found', what: 'all libraries', libraries: found };
  const aside = missing.filter((l) => l.path !== undefined);
  if (aside.length === missing.length) return { name, ...outsideOf(aside), libraries: found };
  const what = `${missing.map(described).join(', ')} not found`;
  const page = 'https://developer.nvidia.com/cuda-11.2.0-download-archive';
  const remedy = machine.platform === 'linux' ? remedyFor(machine, part) : { command: page };
  return { name, state: 'missing', what, ...remedy, libraries: found };
}

function described({ name, others }: LibraryFacts): string {
  return others.length > 0 ? `${name} (only ${others.join(', ')})` : name;
}

/** Libraries that the loader was not told of. */
function outsideOf(libraries: readonly LibraryFacts[]): Omit<LibrariesFacts, 'name' | 'libraries'> {
  const folders = [...new Set(libraries.map((l) => l.path!.slice(0, l.path!.lastIndexOf('/'))))];
  return {
    state: 'broken',
    what: `${libraries.map((l) => l.name).join(', ')} are in ${folders.join(' and ')}, where the loader does not look`,
    command: `export LD_LIBRARY_PATH=${folders.join(':')}:$LD_LIBRARY_PATH`,
  };
}
