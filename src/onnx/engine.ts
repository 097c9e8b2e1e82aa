/** Forms of operators that not every execution provider has, or has right: each is proved by a self-test before use. */
export type Feature =
  | 'MaxPool.Indices'
  | 'MaxUnpool'
  | 'BatchNormalization.training_mode'
  | 'FusedMatMul'
  /** HardSigmoid in one pass over memory, where Where and Sign take many. */
  | 'HardSigmoid'
  /** Loop whose body runs where the graph does: its carried values are not copied in every pass. */
  | 'Loop'
  /** Conv of any number of channels. */
  | 'Conv'
  /** Gradient kernels of convolutions, pools and norms, as operators of the domain {@link NATIVE}. */
  | 'native'
  /** Products of half-precision operands (see half.ts). */
  | 'float16'
  /** The same by float32 kernels on rounded numbers: what it does to training can be seen on any machine. */
  | 'float16.emulated'
  /** Kernels that sum products of halves up in float32. */
  | 'float16.longSums'
  /** Convolutions in the blocked layout of 16 channels (see blocked.ts), which only some processors have. */
  | 'nchwc16';

/** What the engine that will run an emitted graph is able to do, as far as emitted forms depend on it. */
export interface Engine {
  readonly provider: string;
  readonly features: ReadonlySet<Feature>;
}

/** Standard operators only, in forms that every provider but webgpu runs correctly. */
export const standardEngine: Engine = { provider: 'any', features: new Set<Feature>(['Conv', 'Loop']) };

/**
 * onnxruntime's WebGPU kernels. There is none for Loop, and Conv (of 1.30) mixes channels up where the input has 6, 9, 15 …
 * of them.
 */
export const webgpuEngine: Engine = { provider: 'webgpu', features: new Set() };

/** onnxruntime's own CPU kernels, on any processor. */
export const cpuEngine: Engine = {
  provider: 'cpu',
  features: new Set<Feature>([
    'MaxPool.Indices',
    'MaxUnpool',
    'BatchNormalization.training_mode',
    'FusedMatMul',
    'HardSigmoid',
    'Loop',
    'Conv',
  ]),
};

/** The same on a processor whose blocked layout has 16 channels: only after its self-test (runtime/blocked-layout.ts). */
export const blockedCpuEngine: Engine = {
  provider: 'cpu',
  features: new Set<Feature>([...cpuEngine.features, 'nchwc16']),
};

/** Operators that only TensorFlow's kernels compute; see ops/native.ts. */
export const NATIVE = 'org.tensorflow';

/** TensorFlow.js, which executes the step as a graph of TensorFlow. */
export const tfjsTarget: Engine = { provider: 'tfjs', features: new Set<Feature>(['native', 'Loop', 'Conv']) };

/**
 * An engine with products in half precision. Sums are float32 in CUDA's kernels: onnxruntime asks cuBLAS for
 * CUBLAS_COMPUTE_32F (`HalfGemmOptions`), and cuDNN's convolutions of halves for CUDNN_DATA_FLOAT. WebGPU's shaders sum in
 * the type of their operands; of the others nothing is known.
 */
export function halfEngine({ provider, features }: Engine, runsOn: string): Engine {
  const sums: Feature[] = runsOn === 'cuda' ? ['float16.longSums'] : [];
  return { provider, features: new Set<Feature>([...features, 'float16', ...sums]) };
}

/** Acts like the forms that GPUs are given, on any processor, and rounds as they do. */
export const emulatedHalf: Engine = {
  provider: 'any',
  features: new Set<Feature>([...standardEngine.features, 'float16.emulated', 'float16.longSums']),
};
