import { join } from 'node:path';
import type { LibraryFacts } from './diagnosis.js';
import { at, exists, type Machine, namesIn } from './machine.js';

/** Where shared libraries lie. */
export interface Libraries {
  find(name: string): LibraryFacts;
}

/**
 * Reads where libraries lie: on Linux the loader's cache, its own folders, `LD_LIBRARY_PATH`, and folders that CUDA uses; on
 * Windows `PATH`.
 */
export async function openLibraries(machine: Machine): Promise<Libraries> {
  return machine.platform === 'win32' ? dllsOf(machine) : sharedObjectsOf(machine);
}

function dllsOf(machine: Machine): Libraries {
  const folders = listOf(machine.env.PATH, ';');
  return {
    find(name) {
      const path = inFolders(machine, folders, name);
      return { name, others: [], ...(path && { path }), loadable: path !== undefined };
    },
  };
}

async function sharedObjectsOf(machine: Machine): Promise<Libraries> {
  const cache = await loaderCache(machine);
  const searched = [...listOf(machine.env.LD_LIBRARY_PATH), ...ownFolders(machine)];
  const others = outsideFolders(machine);
  const everything = [...cache.keys(), ...[...searched, ...others].flatMap((folder) => namesIn(machine, folder))];
  return {
    find(name) {
      const stem = name.replace(/\.so\..*$/, '.so');
      const alike = everything.filter((n) => n !== name && n.startsWith(`${stem}.`) && /\.so\.\d+$/.test(n));
      const rest = { name, others: [...new Set(alike)].sort() };
      const loaded = cache.get(name) ?? inFolders(machine, searched, name);
      if (loaded) return { ...rest, path: loaded, loadable: true };
      const path = inFolders(machine, others, name);
      return { ...rest, ...(path && { path }), loadable: false };
    },
  };
}

/** @returns the paths of `ldconfig -p`, of libraries for this processor. */
async function loaderCache(machine: Machine): Promise<Map<string, string>> {
  const cache = new Map<string, string>();
  for (const program of ['ldconfig', at(machine, '/sbin/ldconfig'), at(machine, '/usr/sbin/ldconfig')]) {
    const { ok, out } = await machine.run(program, ['-p'], 10);
    if (!ok) continue;
    for (const [, name, kind, path] of out.matchAll(/^\s*(\S+) \(([^)]*)\) => (.+)$/gm))
      if (isOurs(kind, machine.arch) && !cache.has(name)) cache.set(name, path);
    break;
  }
  return cache;
}

function isOurs(kind: string, arch: string): boolean {
  const mark = { x64: 'x86-64', arm64: 'AArch64' }[arch];
  return mark === undefined || kind.includes(mark);
}

function ownFolders({ arch }: Machine): string[] {
  const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[arch];
  const folders = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];
  return triplet ? [`/lib/${triplet}`, `/usr/lib/${triplet}`, ...folders] : folders;
}

/** Folders of CUDA that the loader knows only where it was told of them. */
function outsideFolders(machine: Machine): string[] {
  const cuda = namesIn(machine, '/usr/local').filter((name) => name.startsWith('cuda'));
  const conda = machine.env.CONDA_PREFIX;
  return [
    ...cuda.flatMap((name) => ['lib64', 'lib', 'targets/x86_64-linux/lib'].map((lib) => `/usr/local/${name}/${lib}`)),
    '/opt/cuda/lib64',
    '/usr/local/lib',
    '/usr/lib/wsl/lib',
    ...(conda ? [join(conda, 'lib')] : []),
  ];
}

function inFolders(machine: Machine, folders: readonly string[], name: string): string | undefined {
  const folder = folders.find((f) => exists(machine, `${f}/${name}`));
  return folder && `${folder}/${name}`;
}

/** @returns the entries of a list such as `PATH`. */
export function listOf(value: string | undefined, separator = ':'): string[] {
  return (value ?? '').split(separator).filter(Boolean);
}
