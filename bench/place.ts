import { standardEngine, tfjsTarget, type Engine } from '../src/onnx/engine.js';
import { cpuTarget } from '../src/runtime/blocked-layout.js';
import { type ConcreteProvider, requireProvider } from '../src/runtime/providers.js';
import { loadsOn } from '../src/runtime/session.js';
import { loadTfjs } from '../src/runtime/tfjs.js';
import type { StepGraph, TrainingEngine, TrainingRun } from '../src/train/engine.js';
import { compileLoop, openLoop } from '../src/train/loop.js';
import { residentEngine } from '../src/train/resident.js';
import { compileTfjs, openTfjs } from '../src/train/tfjs/run.js';
import type { Tensor } from '../src/tensor/tensor.js';

export type EngineName = 'onnxruntime' | 'tfjs';

/** `small`: batches and sizes for processors and software adapters, which finish in minutes. */
export const scales = ['full', 'small'] as const;

export type Scale = (typeof scales)[number];

/** What measurements run on. */
export interface Place {
  readonly engine: EngineName;
  /** Of onnxruntime; tfjs finds its device by itself. */
  readonly provider: ConcreteProvider;
  readonly threads: number;
}

/** **Throws** PROVIDER_UNAVAILABLE where it cannot be measured here. @returns its name, as tables have it */
export async function requirePlace({ engine, provider, threads }: Place): Promise<string> {
  if (engine === 'onnxruntime') {
    await requireProvider(provider, loadsOn);
    return `onnxruntime, ${provider}`;
  }
  const { package: name, version, provider: device } = loadTfjs(threads);
  return `${name} ${version}, ${device}`;
}

/** Providers that run `Loop` where the state lives. */
export function loops({ engine, provider }: Place): boolean {
  return engine === 'onnxruntime' && (provider === 'cpu' || provider === 'cuda');
}

/** @returns what the compiler is told of the engine. */
export async function targetOf({ engine, provider }: Place): Promise<Engine> {
  if (engine === 'tfjs') return tfjsTarget;
  return provider === 'cpu' ? cpuTarget() : standardEngine;
}

/** Loads steps as the engine does, but into this thread, where its clock sees them. */
export function loaderHere(place: Place): TrainingEngine {
  return { load: (step, state) => openHere(place, step, state) };
}

function openHere(place: Place, step: StepGraph, state: ReadonlyMap<string, Tensor>): Promise<TrainingRun> {
  const { engine, provider, threads } = place;
  if (engine === 'tfjs') return openTfjs(compileTfjs(step), state, { threads });
  if (provider === 'cpu' || provider === 'cuda') return openLoop(compileLoop(step), state, { provider, threads });
  return residentEngine({ provider, threads }).load(step, state);
}
