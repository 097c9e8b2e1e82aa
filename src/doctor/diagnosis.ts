import type { EngineName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';

/**
 * How a thing stands on this machine.
 *
 * - `works`: it was tried, and computes
 * - `found`: it is there; it was not tried by itself
 * - `missing`: it is not there
 * - `broken`: it is there, but cannot be used
 * - `useless`: whatever is installed, it is of no use on this machine
 * - `unknown`: it could not be found out
 */
export type State = 'works' | 'found' | 'missing' | 'broken' | 'useless' | 'unknown';

/** One thing that was looked for. */
export interface Finding {
  readonly name: string;
  readonly state: State;
  /** What was found, or why it cannot be used. */
  readonly what: string;
  /** The one command that brings or mends it, or the page that tells; only where it can help on this machine. */
  readonly command?: string;
  /** What to know before the command is run. */
  readonly note?: string;
}

export interface NodeFacts extends Finding {
  /** Without a `v`. */
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
  /** Processors that this process may use. */
  readonly processors: number;
  /** Main memory that this process may use, in bytes. */
  readonly memoryBytes: number;
}

/** A graphics device. */
export interface DeviceFacts {
  readonly vendor: 'NVIDIA' | 'AMD' | 'Intel' | 'Apple' | 'other';
  readonly name: string;
  /** Whether it can do more than show pictures: virtual and management displays cannot. */
  readonly computes: boolean;
  /** Its own memory in bytes, where that is known. */
  readonly memoryBytes?: number;
}

export interface DevicesFacts extends Finding {
  readonly devices: readonly DeviceFacts[];
}

/** A driver that Vulkan knows of. */
export interface VulkanDriverFacts extends Finding {
  /** The JSON file that names it. */
  readonly path: string;
  /** The library that it names, as it is written there. */
  readonly library?: string;
  /** It computes on the processor: right results, slower than the cpu provider. */
  readonly software: boolean;
}

/** What the webgpu provider builds on. */
export interface GraphicsFacts extends Finding {
  readonly api: 'vulkan' | 'metal' | 'direct3d12' | 'none';
  /** Vulkan only. */
  readonly drivers: readonly VulkanDriverFacts[];
  /** Linux only: the files in `/dev/dri` by which programs reach a GPU. */
  readonly renderNodes: readonly string[];
}

/** A shared library. */
export interface LibraryFacts {
  readonly name: string;
  /** Where it lies. */
  readonly path?: string;
  /** Whether the dynamic loader finds it. */
  readonly loadable: boolean;
  /** Other versions of it that lie there. */
  readonly others: readonly string[];
}

export interface DriverFacts extends Finding {
  readonly version?: string;
}

export interface LibrariesFacts extends Finding {
  readonly libraries: readonly LibraryFacts[];
}

export interface NvidiaFacts {
  readonly driver: DriverFacts;
  /** CUDA 12 and cuDNN 9, for onnxruntime's cuda provider. */
  readonly cuda12: LibrariesFacts;
  /** CUDA 11.2 and cuDNN 8.1, for tfjs-node-gpu. */
  readonly cuda11: LibrariesFacts;
}

export interface OnnxruntimeFacts extends Finding {
  readonly version?: string;
  readonly folder?: string;
  readonly providers: readonly ProviderFacts[];
}

/** An execution provider of onnxruntime. */
export interface ProviderFacts extends Finding {
  readonly name: ConcreteProvider;
  /** This onnxruntime knows it. */
  readonly known: boolean;
  /** It comes with onnxruntime-node; others are fetched. */
  readonly bundled: boolean;
  /** It computes, on the processor: right results, slower than cpu. */
  readonly software: boolean;
  /** From the start of a process to the first result, in milliseconds; only where it works. */
  readonly startMs?: number;
}

/** A package that brings TensorFlow.js. */
export interface TfjsFacts extends Finding {
  readonly version?: string;
  readonly folder?: string;
  /** Where it computes, where it works. */
  readonly device?: 'cpu' | 'cuda';
}

/** What `cges-compress` would train on; nothing, where `providers` is empty. */
export interface TrainingFacts {
  readonly engine: Exclude<EngineName, 'auto'>;
  /** `cuda` with the tfjs engine means TensorFlow's own. */
  readonly provider: ConcreteProvider;
  readonly why: string;
  /** Values of `--provider` that work here. */
  readonly providers: readonly ConcreteProvider[];
  /** Values of `--engine` that work here. */
  readonly engines: readonly Exclude<EngineName, 'auto'>[];
}

/** What this machine has for training and running models. */
export interface Diagnosis {
  /** Rises when a field changes its meaning or goes. */
  readonly schemaVersion: 1;
  readonly command: 'doctor';
  readonly node: NodeFacts;
  readonly devices: DevicesFacts;
  readonly graphics: GraphicsFacts;
  readonly nvidia: NvidiaFacts;
  readonly onnxruntime: OnnxruntimeFacts;
  readonly tfjs: readonly TfjsFacts[];
  readonly training: TrainingFacts;
}
