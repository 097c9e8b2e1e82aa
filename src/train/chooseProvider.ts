import { absent, NOT_BUILT } from '../runtime/absent.js';
import { candidates, type ConcreteProvider, type Provider } from '../runtime/providerNames.js';
import { shortened, unavailable } from '../runtime/providers.js';
import { productRate, productSizes } from './productRate.js';
import { selfTest, TEST_PATIENCE } from './selfTest.js';

/** Where training will run, and what was better on paper, with the reason why it was not taken. */
export interface ChosenProvider {
  readonly provider: ConcreteProvider;
  readonly refused: readonly { readonly provider: ConcreteProvider; readonly why: string }[];
}

/**
 * Chooses where onnxruntime trains. `auto` takes the first device that multiplies matrices faster than the processor and
 * passes the self-test; every device is tried in a process of its own.
 *
 * **Throws** PROVIDER_UNAVAILABLE when a provider is asked for that does not load, or fails the self-test.
 */
export async function chooseProvider(wanted: Provider, threads: number): Promise<ChosenProvider> {
  if (wanted === 'cpu') return { provider: 'cpu', refused: [] };
  if (wanted !== 'auto') {
    const why = absent(wanted) ?? (await selfTest({ provider: wanted }));
    if (why === undefined) return { provider: wanted, refused: [] };
    throw unavailable(wanted, why);
  }
  const refused: { provider: ConcreteProvider; why: string }[] = [];
  for (const provider of candidates) {
    let why = absent(provider);
    // What this system's onnxruntime does not have at all is nothing to speak of.
    if (why === NOT_BUILT) continue;
    why ??= (await tooSlow(provider, threads)) ?? (await selfTest({ provider }));
    if (why === undefined) return { provider, refused };
    refused.push({ provider, why: shortened(why) });
  }
  return { provider: 'cpu', refused };
}

/** A device that takes this many times as long for small matrices is one in software. */
const HOPELESS = 20;

async function tooSlow(provider: ConcreteProvider, threads: number): Promise<string | undefined> {
  try {
    for (const [size, factor] of [
      [productSizes.small, HOPELESS],
      [productSizes.whole, 1],
    ]) {
      const [here, there] = [
        await productRate('cpu', threads, size),
        await productRate(provider, threads, size, TEST_PATIENCE),
      ].map((rate) => rate / 1e9);
      if (there * factor < here)
        return `slower than the processor: ${there.toPrecision(2)} against ${here.toPrecision(2)} GFLOP/s`;
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
