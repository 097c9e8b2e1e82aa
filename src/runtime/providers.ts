import { env, listSupportedBackends } from 'onnxruntime-node';
import { CgesError } from '../errors.js';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { type ConcreteProvider, type Provider, providers } from './providerNames.js';

export { type ConcreteProvider, type Provider, providers };

/** Tries to load a model on a provider; answers why that failed, or undefined. */
export type Trial = (provider: ConcreteProvider, model: ModelProto) => Promise<string | undefined>;

/** @returns the providers that this onnxruntime was built with. */
export function knownProviders(): ConcreteProvider[] {
  const names = new Set(listSupportedBackends().map((b) => b.name));
  return providers.filter((p) => names.has(p));
}

/**
 * @returns where models are run to be judged: on the cpu unless a provider is asked for
 *
 * **Throws** PROVIDER_UNAVAILABLE when it is asked for and does not load.
 */
export async function inferenceProvider(wanted: Provider, trial: Trial): Promise<ConcreteProvider> {
  if (wanted === 'auto') return 'cpu';
  await requireProvider(wanted, trial);
  return wanted;
}

/** **Throws** PROVIDER_UNAVAILABLE when not even a model of one node loads on the provider. */
export async function requireProvider(provider: ConcreteProvider, trial: Trial): Promise<void> {
  if (provider === 'cpu') return;
  const why = knownProviders().includes(provider)
    ? await trial(provider, oneNode())
    : `this onnxruntime (${env.versions.node}) was built without ${provider}`;
  if (why !== undefined) throw unavailable(provider, why);
}

/** @returns the error of a provider that was asked for, with what to do about it. */
export function unavailable(provider: ConcreteProvider, why: string): CgesError {
  return new CgesError('PROVIDER_UNAVAILABLE', `the ${provider} provider cannot be used: ${shortened(why)}`, {
    hint: hints[provider],
  });
}

/** @returns what matters of a message of onnxruntime's, which begins with places in its sources. */
export function shortened(message: string): string {
  const adapter = /Failed to get a WebGPU adapter: ([^\n]*)/.exec(message);
  if (adapter) return `no adapter (${adapter[1].replace(/\.$/, '')})`;
  return message.split('\n')[0].replace(/\/onnxruntime_src\S+ (?:.* was false\. )?/, '');
}

function oneNode(): ModelProto {
  const graph = makeGraph({
    node: [makeNode('Add', ['x', 'x'], ['y'])],
    input: [makeValueInfo('x', 'float32', [1])],
    output: [makeValueInfo('y', 'float32', [1])],
  });
  return makeModel(graph, 18);
}

const hints: Record<ConcreteProvider, string> = {
  cpu: '',
  webgpu:
    'webgpu needs a graphics card with a driver for Vulkan, Metal or Direct3D 12: see cges-compress doctor; --provider cpu always works',
  cuda: 'cuda needs an NVIDIA driver, CUDA 12, cuDNN 9 and its provider library: see cges-compress doctor; --provider cpu always works',
  tensorrt: 'tensorrt needs the cuda provider and TensorRT; --provider cpu always works',
  dml: 'dml exists on Windows only; --provider cpu always works',
  coreml: 'coreml exists on macOS only; --provider cpu always works',
};
