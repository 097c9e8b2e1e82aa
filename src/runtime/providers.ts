import { env, listSupportedBackends } from 'onnxruntime-node';
import { CgesError } from '../errors.js';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';

/** Execution providers of onnxruntime that can run a training step. */
export const providers = ['cpu', 'webgpu', 'cuda', 'tensorrt', 'dml', 'coreml'] as const;

export type ConcreteProvider = (typeof providers)[number];
export type Provider = 'auto' | ConcreteProvider;

/** What this machine's onnxruntime offers of one provider. */
export interface ProviderState {
  readonly name: ConcreteProvider;
  /** Compiled into this onnxruntime. */
  readonly known: boolean;
  /** Loads a session here. */
  readonly usable: boolean;
  /** Why it cannot be used, in onnxruntime's words. */
  readonly why?: string;
}

/** Tries to load a model on a provider; answers why that failed, or undefined. */
export type Trial = (provider: ConcreteProvider, model: ModelProto) => Promise<string | undefined>;

/** A further check that a provider must pass before `auto` takes it: answers what is wrong, or undefined. */
export type SelfTest = (provider: ConcreteProvider) => Promise<string | undefined>;

/** @returns the providers that this onnxruntime was built with. */
export function knownProviders(): ConcreteProvider[] {
  const names = new Set(listSupportedBackends().map((b) => b.name));
  return providers.filter((p) => names.has(p));
}

/** @returns for every provider whether it can be used here, and if not, why. */
export async function surveyProviders(trial: Trial): Promise<ProviderState[]> {
  const states: ProviderState[] = [];
  for (const name of providers) states.push(await tryProvider(name, trial));
  return states;
}

/**
 * Resolves `auto` to the first candidate that loads and passes its self-test, and checks an explicit choice.
 *
 * **Throws** PROVIDER_UNAVAILABLE when an explicit provider cannot be used.
 */
export async function resolveProvider(
  wanted: Provider,
  trial: Trial,
  options: { candidates?: readonly ConcreteProvider[]; selfTest?: SelfTest } = {},
): Promise<{ provider: ConcreteProvider; refused: ProviderState[] }> {
  if (wanted !== 'auto') {
    await requireProvider(wanted, trial);
    const complaint = wanted === 'cpu' ? undefined : await options.selfTest?.(wanted);
    if (complaint) throw unavailable(wanted, complaint);
    return { provider: wanted, refused: [] };
  }
  const refused: ProviderState[] = [];
  for (const name of options.candidates ?? ['cpu']) {
    if (name === 'cpu') break;
    const state = await tryProvider(name, trial);
    const why = state.usable ? await options.selfTest?.(name) : state.why;
    if (state.usable && !why) return { provider: name, refused };
    refused.push({ ...state, usable: false, why });
  }
  return { provider: 'cpu', refused };
}

/** **Throws** PROVIDER_UNAVAILABLE when not even a model of one node loads on the provider. */
export async function requireProvider(provider: ConcreteProvider, trial: Trial): Promise<void> {
  const { usable, why } = await tryProvider(provider, trial);
  if (!usable) throw unavailable(provider, why ?? 'it does not load');
}

async function tryProvider(name: ConcreteProvider, trial: Trial): Promise<ProviderState> {
  if (name === 'cpu') return { name, known: true, usable: true };
  if (!knownProviders().includes(name)) {
    return {
      name,
      known: false,
      usable: false,
      why: `this onnxruntime (${env.versions.node}) was built without ${name}`,
    };
  }
  const why = await trial(name, oneNode());
  return { name, known: true, usable: why === undefined, ...(why !== undefined && { why }) };
}

function oneNode(): ModelProto {
  const graph = makeGraph({
    node: [makeNode('Add', ['x', 'x'], ['y'])],
    input: [makeValueInfo('x', 'float32', [1])],
    output: [makeValueInfo('y', 'float32', [1])],
  });
  return makeModel(graph, 18);
}

/** What to do where a provider that was asked for cannot be used. */
export const providerHints: Record<ConcreteProvider, string> = {
  cpu: '',
  webgpu: 'webgpu needs a graphics driver with Vulkan, Metal or Direct3D 12; --provider cpu always works',
  cuda: 'cuda needs an NVIDIA driver, CUDA 12, cuDNN 9 and the provider library: npx onnxruntime-node-install (see the README); --provider cpu always works',
  tensorrt: 'tensorrt needs the cuda provider and TensorRT; --provider cpu always works',
  dml: 'dml exists on Windows only; --provider cpu always works',
  coreml: 'coreml exists on macOS only; --provider cpu always works',
};

function unavailable(provider: ConcreteProvider, why: string): CgesError {
  return new CgesError('PROVIDER_UNAVAILABLE', `the ${provider} provider cannot be used: ${why}`, {
    hint: providerHints[provider],
  });
}
