import { requireProvider } from '../src/runtime/providers.js';
import { loadsOn } from '../src/runtime/session.js';
import { loadTfjs } from '../src/runtime/tfjs.js';
import type { TrainingEngine } from '../src/train/engine.js';
import { type EnginePlace, loadOf } from '../src/train/engines.js';
import { openHere } from '../src/train/loads.js';

export type EngineName = Place['engine'];

/** `small`: batches and sizes for processors and software adapters, which finish in minutes. */
export const scales = ['full', 'small'] as const;

export type Scale = (typeof scales)[number];

/** What measurements run on. */
export type Place = Required<EnginePlace>;

/** **Throws** PROVIDER_UNAVAILABLE where it cannot be measured here. @returns its name, as tables have it */
export async function requirePlace({ engine, provider, threads }: Place): Promise<string> {
  if (engine === 'onnxruntime') {
    await requireProvider(provider, loadsOn);
    return `onnxruntime, ${provider}`;
  }
  const { package: name, version, provider: device } = loadTfjs(threads);
  return `${name} ${version}, ${device}`;
}

/** Loads steps as the engine does, but into this thread, where its clock sees them. */
export function loaderHere(place: Place): TrainingEngine {
  return { load: (step, state) => openHere(loadOf(place, step), state) };
}
