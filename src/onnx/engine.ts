/** Forms of operators that not every execution provider has, or has right: each is proved by a self-test before use. */
export type Feature =
  | 'MaxPool.Indices'
  | 'MaxUnpool'
  | 'BatchNormalization.training_mode'
  | 'FusedMatMul'
  /** HardSigmoid in one pass over memory, where Where and Sign take many. */
  | 'HardSigmoid'
  /** Gradient kernels of convolutions, pools and norms, as operators of the domain {@link NATIVE}. */
  | 'native'
  /** Convolutions in the blocked layout of 16 channels (see blocked.ts), which only some processors have. */
  | 'nchwc16';

/** What the engine that will run an emitted graph is able to do, as far as emitted forms depend on it. */
export interface Engine {
  readonly provider: string;
  readonly features: ReadonlySet<Feature>;
}

/** Standard operators only, and of those only the ones that every provider runs correctly. */
export const standardEngine: Engine = { provider: 'any', features: new Set() };

/** onnxruntime's own CPU kernels, on any processor. */
export const cpuEngine: Engine = {
  provider: 'cpu',
  features: new Set<Feature>([
    'MaxPool.Indices',
    'MaxUnpool',
    'BatchNormalization.training_mode',
    'FusedMatMul',
    'HardSigmoid',
  ]),
};

/** The same on a processor whose blocked layout has 16 channels: only after its self-test (runtime/blocked-layout.ts). */
export const blockedCpuEngine: Engine = {
  provider: 'cpu',
  features: new Set<Feature>([...cpuEngine.features, 'nchwc16']),
};

/** Operators that only TensorFlow's kernels compute; see ops/native.ts. */
export const NATIVE = 'org.tensorflow';

/** TensorFlow.js, which executes the step graph operator by operator. */
export const tfjsTarget: Engine = { provider: 'tfjs', features: new Set<Feature>(['native']) };
