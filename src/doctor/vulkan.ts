import { dirname, isAbsolute, join } from 'node:path';
import { hasVendor } from './devices.js';
import type { DevicesFacts, Finding, GraphicsFacts, LibraryFacts, VulkanDriverFacts } from './diagnosis.js';
import { type Libraries, listOf } from './libraries.js';
import { exists, inContainer, type Machine, mayOpen, namesIn, textOf } from './machine.js';
import { type Remedy, remedyFor } from './packages.js';

const LOADER = 'libvulkan.so.1';

/** Finds the Vulkan loader, the drivers that it knows of, and whether they reach the GPU. */
export function probeVulkan(machine: Machine, devices: DevicesFacts, libraries: Libraries): GraphicsFacts {
  const drivers = driverFiles(machine).flatMap((path) => driverOf(machine, path, libraries));
  const renderNodes = namesIn(machine, '/dev/dri').filter((name) => name.startsWith('renderD'));
  const facts = { name: 'Vulkan', api: 'vulkan' as const, drivers, renderNodes };
  return { ...facts, ...judge(machine, devices, libraries.find(LOADER), facts) };
}

type Judgement = Omit<Finding, 'name'>;

function judge(
  machine: Machine,
  devices: DevicesFacts,
  { path, loadable }: LibraryFacts,
  { drivers, renderNodes }: Pick<GraphicsFacts, 'drivers' | 'renderNodes'>,
): Judgement {
  const gpu = devices.devices.some((d) => d.computes);
  if (!loadable) {
    const what = `no loader (${LOADER})`;
    if (!gpu) return { state: 'missing', what: `${what}; without a GPU it would be of no use` };
    return { state: 'missing', what, ...remedyFor(machine, 'vulkan loader') };
  }
  const loader = `loader ${path}`;
  if (!gpu) return { state: 'found', what: `${loader}; there is no GPU for it` };
  if (!drivers.some((d) => d.state === 'found' && !d.software)) {
    return { state: 'missing', what: `${loader}, but no driver for the GPU`, ...driverRemedy(machine, devices) };
  }
  return unreached(machine, devices, renderNodes) ?? { state: 'found', what: loader };
}

function driverRemedy(machine: Machine, devices: DevicesFacts): Remedy {
  if (!hasVendor(devices, 'NVIDIA')) return remedyFor(machine, 'vulkan drivers');
  if (inContainer(machine)) return { command: 'docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …' };
  return remedyFor(machine, 'nvidia vulkan');
}

/** @returns why Mesa's drivers cannot reach the GPU: they open it in `/dev/dri`, which others than NVIDIA's need. */
function unreached(machine: Machine, devices: DevicesFacts, nodes: readonly string[]): Judgement | undefined {
  if (!hasVendor(devices, 'AMD') && !hasVendor(devices, 'Intel')) return undefined;
  if (hasVendor(devices, 'NVIDIA')) return undefined;
  if (nodes.length === 0) {
    const what = 'the GPU has no /dev/dri/renderD*';
    if (inContainer(machine)) return { state: 'broken', what, command: 'docker run --device /dev/dri …' };
    return { state: 'broken', what: `${what}: the kernel has no driver loaded for it` };
  }
  if (nodes.some((node) => mayOpen(machine, `/dev/dri/${node}`))) return undefined;
  const command = 'sudo usermod -aG render,video $USER';
  return { state: 'broken', what: `you may not open /dev/dri/${nodes[0]}`, command, note: 'then log in again' };
}

/** @returns the JSON files that name drivers, in the order in which the loader reads them. */
function driverFiles(machine: Machine): string[] {
  const { env } = machine;
  const chosen = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  const places = chosen ? listOf(chosen) : [...listOf(env.VK_ADD_DRIVER_FILES), ...driverFolders(machine)];
  const files = places.flatMap((place) =>
    place.endsWith('.json') ? [place] : jsonIn(machine, place).map((name) => `${place}/${name}`),
  );
  return [...new Set(files)];
}

function jsonIn(machine: Machine, folder: string): string[] {
  return namesIn(machine, folder).filter((name) => name.endsWith('.json'));
}

function driverFolders({ env, home }: Machine): string[] {
  const config = [env.XDG_CONFIG_HOME || join(home, '.config'), ...listOf(env.XDG_CONFIG_DIRS || '/etc/xdg')];
  const data = [
    env.XDG_DATA_HOME || join(home, '.local/share'),
    ...listOf(env.XDG_DATA_DIRS || '/usr/local/share:/usr/share'),
  ];
  return [...config, '/usr/local/etc', '/etc', ...data].map((folder) => `${folder}/vulkan/icd.d`);
}

/** @returns what a file says of its driver; nothing for a driver of 32-bit programs. */
function driverOf(machine: Machine, path: string, libraries: Libraries): VulkanDriverFacts[] {
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/(_icd)?(\.\w+)?\.json$/, '');
  const broken = (what: string) => [{ name, path, software: isSoftware(name), state: 'broken' as const, what }];
  const text = textOf(machine, path);
  if (text === undefined) return broken(`${path} cannot be read`);
  let icd: { library_path?: unknown; library_arch?: unknown } | undefined;
  try {
    ({ ICD: icd } = JSON.parse(text) as { ICD?: object });
  } catch {
    return broken(`${path} is no JSON`);
  }
  if (icd?.library_arch === '32') return [];
  const library = icd?.library_path;
  if (typeof library !== 'string') return broken(`${path} names no library`);
  const facts = { name, path, library, software: isSoftware(`${name} ${library}`) };
  if (!isThere(machine, path, library, libraries)) {
    return [{ ...facts, state: 'broken', what: `${path} names ${library}, which is not there` }];
  }
  return [{ ...facts, state: 'found', what: facts.software ? 'software: it computes on the processor' : library }];
}

function isThere(machine: Machine, path: string, library: string, libraries: Libraries): boolean {
  if (!library.includes('/')) return libraries.find(library).loadable;
  return exists(machine, isAbsolute(library) ? library : join(dirname(path), library));
}

function isSoftware(text: string): boolean {
  return /swiftshader|lvp|lavapipe|llvmpipe/i.test(text);
}
