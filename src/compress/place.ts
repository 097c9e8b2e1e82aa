import type { CompressOptions } from '../options.js';
import type { Choice } from '../report/schema.js';
import { findTfjs } from '../runtime/tfjs.js';
import { chooseEngine } from '../train/chooseEngine.js';
import { chooseProvider } from '../train/chooseProvider.js';
import type { NetworkOptions } from '../train/network.js';

type Where = Required<Pick<NetworkOptions, 'engine' | 'provider'>>;

/** Where training steps run; a device may have to be left for the cpu, and is never gone back to. */
export interface Place {
  now(): Where;
  /** It is a device, which may fail. */
  readonly mayBeLost: boolean;
  /** A step of the job's model has come out on the device as on the cpu. */
  readonly proved: boolean;
  prove(): void;
  leave(why: string): void;
}

/** Says aloud what was chosen, and what was not. */
interface Told {
  choose(choice: Choice): void;
  warn(message: string): void;
}

/**
 * Chooses engine and provider as the options say, else the best that passes its self-test.
 *
 * **Throws** PROVIDER_UNAVAILABLE when what was asked for cannot be used.
 */
export async function choosePlace(options: CompressOptions, threads: number, { choose, warn }: Told): Promise<Place> {
  const wanted = options.engine === 'tfjs' ? 'cpu' : (options.provider ?? 'auto');
  const { provider, refused } = await chooseProvider(wanted, threads);
  const { engine, why, refused: refusedEngine } = chooseEngine(options.engine ?? 'auto', provider);
  if (why) choose({ what: 'engine', value: engine, why });
  if (refusedEngine) warn(`training runs on ${engine}: ${refusedEngine}`);
  if (wanted === 'auto' && engine === 'onnxruntime') {
    const reasons = refused.map((r) => `${r.provider}: ${r.why}`).join('; ');
    const passed = 'faster than the processor at matrix products, and passed the self-test';
    if (provider !== 'cpu' || reasons)
      choose({ what: 'provider', value: provider, why: provider === 'cpu' ? reasons : passed });
  }
  let now: Where = { engine, provider };
  let proved = false;
  return {
    now: () => now,
    mayBeLost: provider !== 'cpu' || (engine === 'tfjs' && reachesGpu()),
    get proved() {
      return proved;
    },
    prove() {
      proved = true;
    },
    leave(reason) {
      now = { engine, provider: 'cpu' };
      warn(`training runs on the cpu: ${reason}`);
    },
  };
}

function reachesGpu(): boolean {
  const found = findTfjs();
  return !('missing' in found) && found.gpu;
}
