import { setTimeout } from 'node:timers/promises';
import { plainTable, right } from '../src/report/table.js';
import { loadTfjs } from '../src/runtime/tfjs.js';
import { percentile } from '../src/validate/latency.js';
import { openHandWritten } from './handWritten.js';
import { openTimedStep, type TimedStep, type Workload } from './trainStep.js';

/** Pause between two sides: threads of the last one have gone to sleep then. */
const REST_MS = 60;

type Side = 'tfjs' | 'hand-written tfjs' | 'onnxruntime' | 'tfjs, with its sparsity';

/**
 * Times the tfjs engine beside the same net written by hand, which has no sparsity: so neither has ours there. In
 * interleaved rounds; ratios are medians of the rounds' own, above 1 where the engine is faster.
 * @returns a table
 */
export async function measureTfjs(chosen: readonly Workload[], rounds: number, threads: number): Promise<string> {
  const { package: name, version, provider } = loadTfjs(threads);
  const table = plainTable(['training step', 'side', 'ms/step', 'img/s', 'speed of the tfjs engine against']);
  for (const workload of chosen) {
    const bare: Workload = { ...workload, lambda: undefined };
    const sides = new Map<Side, Pick<TimedStep, 'round' | 'close'>>([
      ['tfjs', await openTimedStep(bare, threads, 'tfjs')],
      ['hand-written tfjs', openHandWritten(bare, threads)],
      ['onnxruntime', await openTimedStep(bare, threads)],
    ]);
    if (workload.lambda !== undefined)
      sides.set('tfjs, with its sparsity', await openTimedStep(workload, threads, 'tfjs'));
    const times = new Map([...sides.keys()].map((side) => [side, [] as number[]]));
    for (const side of sides.values()) await side.round();
    for (let round = 0; round < rounds; round++) {
      for (const [side, step] of sides) {
        times.get(side)!.push(await step.round());
        await setTimeout(REST_MS);
      }
    }
    for (const [side, ms] of times) {
      const median = percentile(ms, 0.5);
      const ratio = percentile(
        ms.map((t, i) => t / times.get('tfjs')![i]),
        0.5,
      );
      const beside = side === 'tfjs' ? '' : `${ratio.toFixed(2)}×`;
      table.push([
        workload.name,
        side,
        right(median.toFixed(1)),
        right(((workload.batch * 1000) / median).toFixed(0)),
        right(beside),
      ]);
    }
    for (const side of sides.values()) await side.close();
  }
  return `${name} ${version} on ${provider}, ${rounds} interleaved rounds\n${table.toString()}`;
}
