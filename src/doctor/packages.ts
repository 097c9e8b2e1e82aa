import { type Machine, textOf } from './machine.js';

/** What a Linux distribution may be missing. */
export type Part = 'vulkan loader' | 'vulkan drivers' | 'nvidia driver' | 'nvidia vulkan' | 'cuda 12' | 'cuda 11';

/** How to get it: a command, or the page that tells, and what to know before. */
export interface Remedy {
  readonly command: string;
  readonly note?: string;
}

type Family = 'debian' | 'ubuntu' | 'fedora' | 'arch' | 'suse';

const commands: Readonly<Record<Part, Partial<Record<Family, string>>>> = {
  'vulkan loader': {
    debian: 'apt-get install libvulkan1',
    ubuntu: 'apt-get install libvulkan1',
    fedora: 'dnf install vulkan-loader',
    arch: 'pacman -S vulkan-icd-loader',
    suse: 'zypper install libvulkan1',
  },
  'vulkan drivers': {
    debian: 'apt-get install mesa-vulkan-drivers',
    ubuntu: 'apt-get install mesa-vulkan-drivers',
    fedora: 'dnf install mesa-vulkan-drivers',
    arch: 'pacman -S vulkan-intel vulkan-radeon',
    suse: 'zypper install libvulkan_intel libvulkan_radeon',
  },
  'nvidia driver': {
    debian: 'apt-get install nvidia-driver',
    ubuntu: 'ubuntu-drivers install',
    fedora: 'dnf install akmod-nvidia xorg-x11-drv-nvidia-cuda',
    arch: 'pacman -S nvidia nvidia-utils',
  },
  'nvidia vulkan': { debian: 'apt-get install nvidia-vulkan-icd', arch: 'pacman -S nvidia-utils' },
  'cuda 12': {
    debian: 'apt-get install cuda-libraries-12-9 libcudnn9-cuda-12',
    ubuntu: 'apt-get install cuda-libraries-12-9 libcudnn9-cuda-12',
    fedora: 'dnf install cuda-libraries-12-9 libcudnn9-cuda-12',
  },
  'cuda 11': {},
};

const elsewhere: Readonly<Record<Part, Remedy>> = {
  'vulkan loader': { command: 'https://vulkan.lunarg.com/sdk/home' },
  'vulkan drivers': { command: 'https://docs.mesa3d.org/install.html' },
  'nvidia driver': { command: 'https://www.nvidia.com/drivers' },
  'nvidia vulkan': { command: 'https://www.nvidia.com/drivers' },
  'cuda 12': {
    command: 'conda install -c conda-forge cuda-libraries=12.9 cudnn=9',
    note: 'then LD_LIBRARY_PATH=$CONDA_PREFIX/lib',
  },
  'cuda 11': {
    command: 'conda install -c conda-forge cudatoolkit=11.2 cudnn=8.1',
    note: 'then LD_LIBRARY_PATH=$CONDA_PREFIX/lib',
  },
};

const notes: Partial<Record<Part, Partial<Record<Family, string>>>> = {
  'nvidia driver': { debian: 'from the component non-free', fedora: 'from RPM Fusion' },
  'cuda 12': {
    debian: "from NVIDIA's package source, https://developer.nvidia.com/cuda-downloads",
    ubuntu: "from NVIDIA's package source, https://developer.nvidia.com/cuda-downloads",
    fedora: "from NVIDIA's package source, https://developer.nvidia.com/cuda-downloads",
  },
};

/** @returns how to install a part on this distribution. */
export function remedyFor(machine: Machine, part: Part): Remedy {
  const family = familyOf(machine);
  const command = family && commands[part][family];
  if (!command) return elsewhere[part];
  const note = notes[part]?.[family];
  return { command, ...(note && { note }) };
}

/** @returns whose packages the distribution takes, by `/etc/os-release`. */
function familyOf(machine: Machine): Family | undefined {
  const release = textOf(machine, '/etc/os-release') ?? '';
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? '';
  const names = `${value('ID')} ${value('ID_LIKE')}`.toLowerCase().split(/\s+/);
  const known: readonly [string, Family][] = [
    ['ubuntu', 'ubuntu'],
    ['debian', 'debian'],
    ['fedora', 'fedora'],
    ['rhel', 'fedora'],
    ['arch', 'arch'],
    ['suse', 'suse'],
    ['opensuse', 'suse'],
  ];
  return known.find(([name]) => names.includes(name))?.[1];
}
