import { formatBytes } from '../report/format.js';
import type { DeviceFacts, DevicesFacts } from './diagnosis.js';
import { exists, inContainer, type Machine, namesIn, textOf } from './machine.js';

const NAME = 'GPU';

/** Finds the graphics devices of the machine, whether or not there are drivers for them. */
export async function probeDevices(machine: Machine): Promise<DevicesFacts> {
  const devices = await find(machine);
  const computing = devices.filter((d) => d.computes);
  if (computing.length > 0) {
    return { name: NAME, state: 'found', what: devices.map(described).join('; '), devices };
  }
  const others = devices.length > 0 ? `, only ${devices.map((d) => d.name).join('; ')}` : '';
  const given = inContainer(machine) ? ' (a container sees only the devices that it was given)' : '';
  return { name: NAME, state: 'missing', what: `no GPU${others}${given}`, devices };
}

export function hasVendor({ devices }: DevicesFacts, vendor: DeviceFacts['vendor']): boolean {
  return devices.some((d) => d.vendor === vendor && d.computes);
}

function described({ name, memoryBytes }: DeviceFacts): string {
  return memoryBytes ? `${name}, ${formatBytes(memoryBytes)}` : name;
}

async function find(machine: Machine): Promise<DeviceFacts[]> {
  if (machine.platform === 'darwin') return onMac(machine);
  if (machine.platform === 'win32') return onWindows(machine);
  const named = await namedByNvidia(machine);
  const onBus = devicesOnBus(machine);
  const others = onBus.filter((d) => named.length === 0 || d.vendor !== 'NVIDIA');
  const found = [...named, ...others];
  return found.some((d) => d.computes) ? found : [...found, ...renderNodes(machine)];
}

/** What `nvidia-smi` names: it speaks to the driver, so these can be used. */
async function namedByNvidia(machine: Machine): Promise<DeviceFacts[]> {
  const query = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'];
  for (const program of ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']) {
    const { ok, out } = await machine.run(program, query, 10);
    if (ok) return out.split('\n').flatMap(nvidiaDevice);
  }
  return [];
}

function nvidiaDevice(line: string): DeviceFacts[] {
  const [, name, mebibytes] = /^(.+), *([^,]*)$/.exec(line.trim()) ?? [];
  if (!name) return [];
  const bytes = Number(mebibytes) * 2 ** 20;
  return [{ vendor: 'NVIDIA', name, computes: true, ...(bytes > 0 && { memoryBytes: bytes }) }];
}

const vendors: Readonly<Record<string, DeviceFacts['vendor']>> = {
  '0x10de': 'NVIDIA',
  '0x1002': 'AMD',
  '0x8086': 'Intel',
};

/** What the PCI bus holds of displays and accelerators. */
function devicesOnBus(machine: Machine): DeviceFacts[] {
  const bus = '/sys/bus/pci/devices';
  return namesIn(machine, bus).flatMap((slot) => {
    const read = (file: string) => textOf(machine, `${bus}/${slot}/${file}`)?.trim() ?? '';
    const display = read('class').startsWith('0x03');
    const accelerator = read('class').startsWith('0x12');
    const vendor = vendors[read('vendor')] ?? 'other';
    if (!display && !(accelerator && (vendor === 'AMD' || vendor === 'NVIDIA'))) return [];
    const name = `${vendor === 'other' ? `display of vendor ${read('vendor')}` : vendor} device ${read('device')}`;
    return [{ vendor, name, computes: vendor !== 'other' }];
  });
}

/** GPUs that are no PCI devices: those of a system on a chip, and those of Windows below a Linux. */
function renderNodes(machine: Machine): DeviceFacts[] {
  const nodes = namesIn(machine, '/dev/dri').filter((name) => name.startsWith('renderD'));
  const windows = exists(machine, '/dev/dxg') ? [device('a GPU of the Windows below')] : [];
  const drivers = nodes.map((node) => {
    const facts = textOf(machine, `/sys/class/drm/${node}/device/uevent`) ?? '';
    return /^DRIVER=(.+)$/m.exec(facts)?.[1];
  });
  const real = drivers.filter((driver) => !/^(vgem|virtio|vkms|simple|bochs|qxl|vmwgfx)/.test(driver ?? ''));
  return [...windows, ...real.map((driver) => device(driver ? `a GPU of the driver ${driver}` : 'a GPU in /dev/dri'))];
}

function device(name: string): DeviceFacts {
  return { vendor: 'other', name, computes: true };
}

interface MacDisplay {
  readonly sppci_model?: string;
  readonly _name?: string;
}

async function onMac(machine: Machine): Promise<DeviceFacts[]> {
  const { ok, out, why } = await machine.run('system_profiler', ['SPDisplaysDataType', '-json'], 20);
  if (!ok) throw new Error(`system_profiler: ${why}`);
  const { SPDisplaysDataType: all = [] } = JSON.parse(out) as { SPDisplaysDataType?: MacDisplay[] };
  return all.map((d) => ({ ...byName(d.sppci_model ?? d._name ?? 'a GPU without a name'), computes: true }));
}

interface WindowsDisplay {
  readonly Name?: string;
  readonly AdapterRAM?: number;
}

async function onWindows(machine: Machine): Promise<DeviceFacts[]> {
  const query = 'Get-CimInstance Win32_VideoController | Select-Object Name,AdapterRAM | ConvertTo-Json';
  const { ok, out, why } = await machine.run('powershell.exe', ['-NoProfile', '-Command', query], 30);
  if (!ok) throw new Error(`powershell: ${why}`);
  const all = out.trim() ? ([JSON.parse(out)].flat() as WindowsDisplay[]) : [];
  return all.map(({ Name: name = 'an adapter without a name', AdapterRAM: memoryBytes }) => ({
    ...byName(name),
    computes: !/Basic (Display|Render)|Remote Display|Hyper-V|VMware|VirtualBox|QXL/i.test(name),
    // The field holds 32 bits: devices with more memory have this value.
    ...(memoryBytes && memoryBytes < 4293918720 && { memoryBytes }),
  }));
}

function byName(name: string): Pick<DeviceFacts, 'vendor' | 'name'> {
  const marks: readonly [RegExp, DeviceFacts['vendor']][] = [
    [/nvidia|geforce|quadro|tesla/i, 'NVIDIA'],
    [/\bamd\b|radeon/i, 'AMD'],
    [/intel/i, 'Intel'],
    [/apple/i, 'Apple'],
  ];
  return { name, vendor: marks.find(([mark]) => mark.test(name))?.[1] ?? 'other' };
}
