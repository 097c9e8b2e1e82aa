import type { DevicesFacts, GraphicsFacts } from './diagnosis.js';
import type { Libraries } from './libraries.js';
import type { Machine } from './machine.js';
import { probeVulkan } from './vulkan.js';

const nothing = { drivers: [], renderNodes: [] };

/** Finds what the webgpu provider builds on: Vulkan, or what the system itself brings. */
export function probeGraphics(machine: Machine, devices: DevicesFacts, libraries: Libraries): GraphicsFacts {
  switch (machine.platform) {
    case 'linux':
      return probeVulkan(machine, devices, libraries);
    case 'darwin':
      return { name: 'Metal', api: 'metal', state: 'found', what: 'part of macOS', ...nothing };
    case 'win32':
      return { name: 'Direct3D 12', api: 'direct3d12', state: 'found', what: 'part of Windows', ...nothing };
    default:
      return { name: 'graphics', api: 'none', state: 'useless', what: `unknown on ${machine.platform}`, ...nothing };
  }
}
