import { type Engine, halfEngine, standardEngine, tfjsTarget, webgpuEngine } from '../onnx/engine.js';
import type { PrecisionName } from '../options.js';
import { cpuTarget } from '../runtime/blocked-layout.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { openInBackground } from './background.js';
import type { ChosenEngine } from './chooseEngine.js';
import type { StepGraph, TrainingEngine } from './engine.js';
import type { Load } from './loads.js';
import { compileLoop } from './loop.js';
import type { Patience } from './remote.js';
import { compileResident } from './resident.js';
import { compileTfjs } from './tfjs/run.js';

/** What executes steps, and where. */
export interface EnginePlace {
  /** Default: onnxruntime. */
  readonly engine?: ChosenEngine['engine'];
  /** Of onnxruntime; TensorFlow.js finds its device by itself. */
  readonly provider: ConcreteProvider;
  readonly threads: number;
}

/** @returns what the compiler is told of the engine. */
export async function targetOf(
  { engine, provider }: Omit<EnginePlace, 'threads'>,
  precision?: PrecisionName,
): Promise<Engine> {
  if (engine === 'tfjs') return tfjsTarget;
  if (provider === 'cpu') return cpuTarget();
  const device = provider === 'webgpu' ? webgpuEngine : standardEngine;
  return precision === 'fp16' ? halfEngine(device, provider) : device;
}

/** Whether a provider of onnxruntime runs `Loop` where the state lives. */
export function loops(provider: ConcreteProvider): provider is 'cpu' | 'cuda' {
  return provider === 'cpu' || provider === 'cuda';
}

/**
 * @returns the step as the engine takes it: in a `Loop` for onnxruntime's providers that run it where the state lives, one
 *   step at a time for the others (webgpu), as a graph of its own operators for TensorFlow.js
 */
export function loadOf({ engine, provider, threads }: EnginePlace, step: StepGraph): Load {
  if (engine === 'tfjs') return { how: 'tfjs', step: compileTfjs(step), options: { threads } };
  if (loops(provider)) {
    return { how: 'loop', step: compileLoop(step), options: { provider, threads } };
  }
  return { how: 'resident', step: compileResident(step), options: { provider, threads } };
}

/** The engine that executes steps there, beside this thread: data is prepared meanwhile. */
export function engineOf(place: EnginePlace, patience?: Patience): TrainingEngine {
  return { load: (step, state) => openInBackground(loadOf(place, step), state, patience) };
}
