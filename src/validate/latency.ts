import { CgesError } from '../errors.js';
import type { Latency } from '../report/schema.js';
import type { Session } from '../runtime/session.js';
import type { Tensor } from '../tensor/tensor.js';

/** A model with the inputs of one sample. */
export interface LatencySubject {
  readonly session: Session;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

export interface LatencyOptions {
  /** Rounds that are enough, and the time after which fewer have to do. Defaults: 200 rounds, 5 seconds. */
  readonly rounds?: number;
  readonly seconds?: number;
  readonly signal?: AbortSignal;
  /** Milliseconds since any fixed moment. */
  readonly now?: () => number;
}

export interface LatencyComparison {
  /** In the order of the subjects, in ms. */
  readonly latencyMs: readonly Latency[];
  /** For every subject: median over the rounds of (first subject's time / its own): 3 means three times faster. */
  readonly speedup: readonly number[];
  readonly rounds: number;
}

const LEAST_ROUNDS = 10;
const WARM_UP_RUNS = 5;

/**
 * Times models against each other: after a warm-up every round runs each of them once, so that what disturbs the
 * machine disturbs all of them alike. At least ten rounds are made, however slow the models are.
 */
export async function compareLatency(
  subjects: readonly LatencySubject[],
  options: LatencyOptions = {},
): Promise<LatencyComparison> {
  const { rounds = 200, seconds = 5, signal, now = () => performance.now() } = options;
  for (let i = 0; i < WARM_UP_RUNS; i++) {
    for (const { session, feeds } of subjects) await session.run(feeds);
  }
  const times = subjects.map((): number[] => []);
  const end = now() + seconds * 1000;
  let done = 0;
  while (done < rounds && (done < LEAST_ROUNDS || now() < end)) {
    if (signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while latency was being measured');
    for (let s = 0; s < subjects.length; s++) {
      const begin = now();
      await subjects[s].session.run(subjects[s].feeds);
      times[s].push(now() - begin);
    }
    done++;
  }
  return {
    latencyMs: times.map((t) => ({ p50: percentile(t, 0.5), p95: percentile(t, 0.95) })),
    speedup: times.map((t) =>
      percentile(
        t.map((ms, round) => (ms > 0 ? times[0][round] / ms : 1)),
        0.5,
      ),
    ),
    rounds: done,
  };
}

/** @returns the value below which the given share of the samples lies, linear between neighbours. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}
