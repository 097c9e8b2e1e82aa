import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { writeAtomically } from '../src/onnx/atomic.js';
import { formatBytes } from '../src/report/format.js';
import { plainTable, right } from '../src/report/table.js';
import { percentile } from '../src/validate/latency.js';
import { openMatrixProduct } from './matrixProduct.js';
import { measureStrip, type StripFigures } from './stripLarge.js';
import { measureTfjs } from './tfjs.js';
import { layouts, openTorch, type Torch } from './torch.js';
import { openTimedStep, type TimedStep, type Workload, workloads } from './trainStep.js';

export interface MeasurementOptions {
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly threads: number;
  readonly python?: string;
  readonly json?: string;
  /** By TensorFlow.js: the engine beside nets written by hand. */
  readonly byHand?: boolean;
  /** What is stripped, in place of a model that is made. */
  readonly model?: string;
}

export const measurementNames: readonly string[] = [...workloads.map((w) => w.name), 'strip'];

/** Everything that was measured, one number per round. */
interface Series {
  readonly workload: Workload;
  readonly step: TimedStep;
  readonly ours: number[];
  readonly torch: Readonly<Record<(typeof layouts)[number], number[]>>;
}

/** Pause between two sides: threads of the last one have gone to sleep then. */
const REST_MS = 60;

/** Takes all measurements and prints them. @returns the exit code */
export async function runMeasurements(options: MeasurementOptions): Promise<number> {
  const { rounds, threads, python } = options;
  const unknown = options.only?.filter((name) => !measurementNames.includes(name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(`there is no measurement '${unknown[0]}': there are ${measurementNames.join(', ')}\n`);
    return 2;
  }
  const wanted = (name: string) => options.only?.includes(name) ?? true;
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const { model } = cpus()[0] ?? { model: 'unknown processor' };
  say(`${model}, ${threads} threads, Node ${process.versions.node}`);

  const chosen = workloads.filter((w) => wanted(w.name));
  if (options.byHand) {
    say(await measureTfjs(chosen, rounds, threads));
    return 0;
  }
  let training: ReturnType<typeof summary> | undefined;
  if (chosen.length > 0) {
    const torch = python === undefined ? undefined : await openTorch(python, threads);
    if (torch === undefined) say('PyTorch is measured beside it when a Python with torch is given: --python PATH');
    else if (typeof torch === 'string') say(`PyTorch is left out: ${python} has none that works (${torch})`);
    else say(`PyTorch ${torch.version} eager, ${rounds} interleaved rounds`);
    training = await trainingSteps(chosen, rounds, threads, typeof torch === 'object' ? torch : undefined);
    say(trainingTable(training));
    say(`Largest matrix product (the ceiling): ${training.ceiling.toFixed(0)} GFLOP/s.`);
    say(`Peak memory of this process: ${formatBytes(training.peakBytes)}.`);
  }
  let strip: StripFigures | undefined;
  if (wanted('strip')) {
    strip = await measureStrip(options.model);
    say(stripText(strip));
  }
  if (options.json) {
    const machine = { processor: model, threads, node: process.versions.node };
    const text = JSON.stringify({ schemaVersion: 1, machine, rounds, training, strip }, null, 2);
    await writeAtomically(options.json, new TextEncoder().encode(`${text}\n`));
  }
  return 0;
}

async function trainingSteps(chosen: readonly Workload[], rounds: number, threads: number, torch?: Torch) {
  const product = await openMatrixProduct({ engine: 'onnxruntime', provider: 'cpu', threads });
  const series: Series[] = [];
  const ceiling: number[] = [];
  try {
    for (const workload of chosen) {
      const step = await openTimedStep(workload, threads);
      series.push({ workload, step, ours: [], torch: { nchw: [], channels_last: [] } });
      for (const layout of layouts) await torch?.round({ ...workload, steps: 1 }, layout);
    }
    for (let round = 0; round < rounds; round++) {
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
      for (const s of series) {
        s.ours.push(await s.step.round());
        await setTimeout(REST_MS);
        for (const layout of torch ? layouts : []) {
          s.torch[layout].push(await torch!.round(s.workload, layout));
          await setTimeout(REST_MS);
        }
      }
      ceiling.push(await product.round());
      await setTimeout(REST_MS);
    }
    return summary(series, percentile(ceiling, 0.5));
  } finally {
    for (const { step } of series) await step.close();
    await product.close();
    torch?.close();
  }
}

/** Medians over the rounds; ratios are medians of the rounds' own ratios, above 1 where this project is faster. */
function summary(series: readonly Series[], ceiling: number) {
  const median = (values: readonly number[]) => percentile(values, 0.5);
  const steps = series.map(({ workload, step, ours, torch }) => {
    const ms = median(ours);
    // Backward costs two passes: by inputs and by weights.
    const gflops = (2 * 3 * step.macs) / ms / 1e6;
    const beside = layouts.flatMap((layout) => {
      const theirs = torch[layout];
      if (theirs.length === 0) return [];
      return [{ layout, ms: median(theirs), ratio: median(theirs.map((t, i) => t / ours[i])) }];
    });
    return {
      name: workload.name,
      title: workload.title,
      ms,
      imagesPerSecond: (workload.batch * 1000) / ms,
      gflops,
      ofCeiling: gflops / ceiling,
      msByRound: ours,
      torch: beside.map((t) => ({ ...t, imagesPerSecond: (workload.batch * 1000) / t.ms, msByRound: torch[t.layout] })),
    };
  });
  return { steps, ceiling, peakBytes: process.resourceUsage().maxRSS * 1024 };
}

function trainingTable({ steps }: ReturnType<typeof summary>): string {
  const table = plainTable(['training step', 'ms/step', 'img/s', 'GFLOP/s', 'of ceiling', 'speed against']);
  for (const s of steps) {
    const share = `${(s.ofCeiling * 100).toFixed(0)} %`;
    table.push([
      s.name,
      right(s.ms.toFixed(1)),
      right(s.imagesPerSecond.toFixed(0)),
      right(s.gflops.toFixed(0)),
      right(share),
      '',
    ]);
    for (const t of s.torch) {
      const of = `  PyTorch ${t.layout}`;
      table.push([
        of,
        right(t.ms.toFixed(1)),
        right(t.imagesPerSecond.toFixed(0)),
        '',
        '',
        right(`${t.ratio.toFixed(2)}×`),
      ]);
    }
  }
  return [...steps.map((s) => `${s.name}: ${s.title}`), table.toString()].join('\n');
}

function stripText({ bytes, units, seconds, peakBytes }: StripFigures): string {
  const s = (n: number) => `${n.toFixed(2)} s`;
  const times = (n: number) => `${(n / seconds.copy).toFixed(1)}×`;
  return [
    `Strip of a model of ${formatBytes(bytes.before)} to ${formatBytes(bytes.after)}, ${units.before} units to ${units.after}:`,
    `  read ${s(seconds.read)}, shapes ${s(seconds.analyse)}, strip ${s(seconds.strip)} (of which the proof about ${s(seconds.proof)}), write ${s(seconds.write)}`,
    `  together ${s(seconds.total)} with the proof, ${s(seconds.total - seconds.proof)} without: ${times(seconds.total)} and ${times(seconds.total - seconds.proof)} what reading and writing the file takes (${s(seconds.copy)})`,
    `  peak memory ${formatBytes(peakBytes)}: ${(peakBytes / bytes.before).toFixed(1)} times the model`,
  ].join('\n');
}
