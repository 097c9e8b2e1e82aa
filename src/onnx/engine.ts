/** Forms of operators that not every execution provider has, or has right: each is proved by a self-test before use. */
export type Feature = 'MaxPool.Indices' | 'MaxUnpool' | 'BatchNormalization.training_mode' | 'FusedMatMul' | 'nchwc';

/** What the engine that will run an emitted graph is able to do, as far as emitted forms depend on it. */
export interface Engine {
  readonly provider: string;
  readonly features: ReadonlySet<Feature>;
}

/** Standard operators only, and of those only the ones that every provider runs correctly. */
export const standardEngine: Engine = { provider: 'any', features: new Set() };

/** onnxruntime's own CPU kernels. */
export const cpuEngine: Engine = {
  provider: 'cpu',
  features: new Set<Feature>([
    'MaxPool.Indices',
    'MaxUnpool',
    'BatchNormalization.training_mode',
    'FusedMatMul',
    'nchwc',
  ]),
};
