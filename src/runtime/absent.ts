import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ConcreteProvider, knownProviders } from './providers.js';

/** Files by which a look tells that a device cannot be there. */
const NVIDIA_DRIVER = '/proc/driver/nvidia/version';
const WSL_DRIVER = '/usr/lib/wsl/lib/libcuda.so.1';
const LIBRARY_FOLDERS = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/usr/local/lib'];

/** The reason where a provider belongs to another system. */
export const NOT_BUILT = 'not part of this onnxruntime';

/** @returns why a provider cannot run here, as far as that is seen without loading it; undefined where it may. */
export function absent(provider: ConcreteProvider): string | undefined {
  if (provider === 'cpu') return undefined;
  if (!knownProviders().includes(provider)) return NOT_BUILT;
  if (process.platform !== 'linux') return undefined;
  if (provider === 'webgpu') return hasLibrary('libvulkan.so.1') ? undefined : 'no Vulkan loader (libvulkan.so.1)';
  if (provider === 'cuda' || provider === 'tensorrt') return cudaAbsent(provider);
  return undefined;
}

function cudaAbsent(provider: 'cuda' | 'tensorrt'): string | undefined {
  if (!existsSync(NVIDIA_DRIVER) && !existsSync(WSL_DRIVER)) return 'no NVIDIA driver';
  const library = `libonnxruntime_providers_${provider}.so`;
  return providerLibraries().includes(library) ? undefined : `its library ${library} was not fetched`;
}

/** @returns the names of the libraries that lie beside onnxruntime's own. */
function providerLibraries(): string[] {
  try {
    const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
    return readdirSync(join(root, 'bin', 'napi-v6', process.platform, process.arch));
  } catch {
    return [];
  }
}

/** Where the loader looks, as far as that is told by folders. */
function hasLibrary(name: string): boolean {
  const given = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean);
  return [...given, ...LIBRARY_FOLDERS].some((folder) => holds(folder, name));
}

function holds(folder: string, name: string): boolean {
  if (existsSync(join(folder, name))) return true;
  try {
    // Debian's folders by architecture: /usr/lib/x86_64-linux-gnu.
    return readdirSync(folder).some((entry) => entry.includes('-linux-') && existsSync(join(folder, entry, name)));
  } catch {
    return false;
  }
}
