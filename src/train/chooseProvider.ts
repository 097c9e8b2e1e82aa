import { absent, NOT_BUILT } from '../runtime/absent.js';
import { type ConcreteProvider, type Provider, shortened, unavailable } from '../runtime/providers.js';
import { productRate } from './productRate.js';
import type { Patience } from './remote.js';
import { selfTest } from './selfTest.js';

/** Where training will run, and what was better on paper, with the reason why it was not taken. */
export interface ChosenProvider {
  readonly provider: ConcreteProvider;
  readonly refused: readonly { readonly provider: ConcreteProvider; readonly why: string }[];
}

/** What `auto` tries, the fastest first. TensorRT compiles a graph for minutes: only where it is asked for. */
const CANDIDATES = ['cuda', 'webgpu', 'dml', 'coreml'] as const;

/** A device that is worth anything answers a tiny net within this. */
const PATIENCE: Patience = { first: 120, again: 60 };

/**
 * Chooses where onnxruntime trains. `auto` takes the first device that multiplies matrices faster than the processor and
 * passes the self-test; every device is tried in a process of its own.
 *
 * **Throws** PROVIDER_UNAVAILABLE when a provider is asked for that does not load, or fails the self-test.
 */
export async function chooseProvider(wanted: Provider, threads: number): Promise<ChosenProvider> {
  if (wanted === 'cpu') return { provider: 'cpu', refused: [] };
  if (wanted !== 'auto') {
    const why = absent(wanted) ?? (await selfTest(wanted, PATIENCE));
    if (why === undefined) return { provider: wanted, refused: [] };
    throw unavailable(wanted, why);
  }
  const refused: { provider: ConcreteProvider; why: string }[] = [];
  let cpu: number | undefined;
  for (const provider of CANDIDATES) {
    let why = absent(provider);
    // What this system's onnxruntime does not have at all is nothing to speak of.
    if (why === NOT_BUILT) continue;
    if (why === undefined) {
      cpu ??= await productRate('cpu', threads);
      why = (await tooSlow(provider, threads, cpu)) ?? (await selfTest(provider, PATIENCE));
    }
    if (why === undefined) return { provider, refused };
    refused.push({ provider, why: shortened(why) });
  }
  return { provider: 'cpu', refused };
}

async function tooSlow(provider: ConcreteProvider, threads: number, cpu: number): Promise<string | undefined> {
  try {
    const rate = await productRate(provider, threads, PATIENCE);
    if (rate > cpu) return undefined;
    const [here, there] = [cpu, rate].map((r) => Math.round(r / 1e9));
    return `slower than the processor: ${there} against ${here} GFLOP/s`;
  } catch (error) {
    return (error as Error).message;
  }
}
