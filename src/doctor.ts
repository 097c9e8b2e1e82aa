import { probeDevices } from './doctor/devices.js';
import type {
  DevicesFacts,
  Diagnosis,
  GraphicsFacts,
  NodeFacts,
  NvidiaFacts,
  OnnxruntimeFacts,
} from './doctor/diagnosis.js';
import { probeGraphics } from './doctor/graphics.js';
import { type Libraries, openLibraries } from './doctor/libraries.js';
import { type Machine, thisMachine } from './doctor/machine.js';
import { probeNode } from './doctor/node.js';
import { probeNvidia } from './doctor/nvidia.js';
import { probeOnnxruntime } from './doctor/onnxruntime.js';
import { soft } from './doctor/soft.js';
import { probeTfjs } from './doctor/tfjs.js';
import { chooseTraining } from './doctor/training.js';

export interface DoctorOptions {
  /** Seconds after which a provider or package that is being tried is given up (default: 30). */
  readonly timeout?: number;
}

/**
 * Finds out what this machine has for training and running models, and what would bring the rest. Providers and packages
 * are tried in processes of their own. Never throws.
 */
export function doctor(options: DoctorOptions = {}): Promise<Diagnosis> {
  return examine(thisMachine(), options);
}

/** The same, of any machine. */
export async function examine(machine: Machine, { timeout = 30 }: DoctorOptions = {}): Promise<Diagnosis> {
  const { node: version, platform, arch } = machine;
  const unknown = { version, platform, arch, processors: 1, memoryBytes: 0 };
  const node = await soft<NodeFacts>('Node', unknown, () => probeNode(machine));
  const libraries = await openLibraries(machine).catch((): Libraries => nothingFound);
  const devices = await soft<DevicesFacts>('GPU', { devices: [] }, () => probeDevices(machine));
  const graphics = await soft<GraphicsFacts>('graphics', { api: 'none', drivers: [], renderNodes: [] }, () =>
    probeGraphics(machine, devices, libraries),
  );
  const nvidia: NvidiaFacts = await probeNvidia(machine, devices, libraries);
  const around = { devices, graphics, nvidia };
  const onnxruntime = await soft<OnnxruntimeFacts>('onnxruntime-node', { providers: [] }, () =>
    probeOnnxruntime(machine, around, timeout),
  );
  const tfjs = await probeTfjs(machine, nvidia, timeout);
  const training = chooseTraining(onnxruntime, tfjs);
  return { schemaVersion: 1, command: 'doctor', node, devices, graphics, nvidia, onnxruntime, tfjs, training };
}

const nothingFound: Libraries = { find: (name) => ({ name, loadable: false, others: [] }) };
