import type { CompressOptions } from '../options.js';
import { formatMs } from '../report/format.js';
import type { Choice } from '../report/schema.js';
import { tfjsIsForGpu } from '../runtime/tfjs.js';
import { chooseEngine } from '../train/chooseEngine.js';
import { chooseProvider } from '../train/chooseProvider.js';
import type { NetworkOptions } from '../train/network.js';
import type { Speed } from '../train/trial.js';

type Where = Required<Pick<NetworkOptions, 'engine' | 'provider'>>;

/** What every other place is compared with, and what a job falls back to. */
const HOME: Where = { engine: 'onnxruntime', provider: 'cpu' };

/** Where training steps run; it may have to be left for onnxruntime's cpu, and is never gone back to. */
export interface Place {
  now(): Where;
  /** Steps run on onnxruntime's cpu. */
  readonly isHome: boolean;
  /** The tfjs engine, or the provider. */
  readonly name: string;
  /** Options by which a job trains on onnxruntime's cpu. */
  readonly wayHome: string;
  /** The user wants it there, faster or not. */
  readonly asked: boolean;
  /** It is a device, which may fail. */
  readonly mayBeLost: boolean;
  /** A step of the job's model has come out there as on onnxruntime's cpu. */
  readonly proved: boolean;
  /** @param speed of a step there and at home, where it was measured: the slower one is left */
  prove(speed?: Speed): void;
  leave(why: string): void;
}

/** Says aloud what was chosen, and what was not. */
interface Told {
  choose(choice: Choice): void;
  warn(message: string): void;
}

/** Seconds that are saved must be worth another engine: this share of a step at least. */
const WORTH = 0.1;

/**
 * Chooses engine and provider as the options say, else the best that passes its self-test.
 *
 * **Throws** PROVIDER_UNAVAILABLE when what was asked for cannot be used.
 */
export async function choosePlace(options: CompressOptions, threads: number, told: Told): Promise<Place> {
  const wanted = options.engine === 'tfjs' ? 'cpu' : (options.provider ?? 'auto');
  const { provider, refused } = await chooseProvider(wanted, threads);
  const { engine: asked = 'auto' } = options;
  // A provider that is named is one of onnxruntime, and TensorFlow.js has no halves.
  const settled = wanted !== 'auto' || options.precision === 'fp16';
  const { engine, refused: refusedEngine } = await chooseEngine(
    asked === 'auto' && settled ? 'onnxruntime' : asked,
    provider,
  );
  if (refusedEngine) told.warn(`training runs on ${engine}: ${refusedEngine}`);
  const elsewhere = engine === 'tfjs' && tfjsIsForGpu();
  if (wanted === 'auto' && !elsewhere) {
    const reasons = refused.map((r) => `${r.provider}: ${r.why}`).join('; ');
    const passed = 'faster than the processor at matrix products, and passed the self-test';
    if (provider !== 'cpu' || reasons)
      told.choose({ what: 'provider', value: provider, why: provider === 'cpu' ? reasons : passed });
  }
  return placeOf({ engine, provider }, engine === 'tfjs' ? asked === 'tfjs' : wanted !== 'auto', told);
}

/** @param asked the user wants it there, faster or not */
export function placeOf(chosen: Where, asked: boolean, { choose, warn }: Told): Place {
  const byTfjs = chosen.engine === 'tfjs';
  const name = byTfjs ? 'tfjs' : chosen.provider;
  let now = chosen;
  let proved = false;
  return {
    now: () => now,
    get isHome() {
      return now.engine === HOME.engine && now.provider === HOME.provider;
    },
    name,
    wayHome: byTfjs ? '--engine onnxruntime --provider cpu' : '--provider cpu',
    asked,
    mayBeLost: byTfjs ? tfjsIsForGpu() : chosen.provider !== 'cpu',
    get proved() {
      return proved;
    },
    prove(speed) {
      proved = true;
      if (!speed) return;
      const slower = speed.device > speed.cpu * (byTfjs ? 1 - WORTH : 1);
      if (slower) now = HOME;
      if (!slower && !byTfjs) return;
      const [there, here] = [speed.device, speed.cpu].map((seconds) => formatMs(1000 * seconds));
      const home = byTfjs ? HOME.engine : HOME.provider;
      choose({
        what: byTfjs ? 'engine' : 'provider',
        value: slower ? home : name,
        why: slower
          ? `a step of this model takes ${here}, ${there} on ${name}`
          : `a step of this model takes ${there}, ${here} on ${home}`,
      });
    },
    leave(reason) {
      now = HOME;
      warn(`training runs on ${byTfjs ? "onnxruntime's cpu" : 'the cpu'}: ${reason}`);
    },
  };
}
