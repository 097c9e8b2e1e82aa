/* Loads no library of native code: the doctor reads these names where onnxruntime itself does not load. */

/** Execution providers of onnxruntime that can run a training step. */
export const providers = ['cpu', 'webgpu', 'cuda', 'tensorrt', 'dml', 'coreml'] as const;

export type ConcreteProvider = (typeof providers)[number];
export type Provider = 'auto' | ConcreteProvider;

/** What `auto` tries, the fastest first. TensorRT compiles a graph for minutes: only where it is asked for. */
export const candidates = ['cuda', 'webgpu', 'dml', 'coreml'] as const satisfies readonly ConcreteProvider[];
