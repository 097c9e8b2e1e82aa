import { percentile } from '../src/validate/latency.js';
import { type KernelCase, kernelCases, type KernelKind } from './kernelCases.js';
import { openKernel, operatorsOf, type TimedKernel } from './kernel.js';
import { type FormFigures, type KernelFigures, kernelLine } from './kernelFigures.js';
import { targetOf } from '../src/train/engines.js';
import type { Place, Scale } from './place.js';

export interface KernelOptions {
  readonly place: Place;
  readonly scale: Scale;
  readonly rounds: number;
  /** In place of the cases' own. */
  readonly batch?: number;
  readonly kinds: readonly KernelKind[];
}

/** Times all forms of all cases; the forms of a case take turns. */
export async function measureKernels({ place, scale, rounds, batch, kinds }: KernelOptions): Promise<KernelFigures[]> {
  const cases = kernelCases(await targetOf(place), scale, batch).filter((c) => kinds.includes(c.kind));
  const figures: KernelFigures[] = [];
  for (const one of cases) {
    const measured = await measureCase(one, place, rounds);
    figures.push(measured);
    process.stderr.write(`${kernelLine(measured)}\n`);
  }
  return figures;
}

/** Sums in another order differ by rounding. */
const TOLERANCE = 1e-2;

async function measureCase({ kind, title, forms, chosen }: KernelCase, place: Place, rounds: number) {
  const opened = new Map<string, TimedKernel>();
  const figures = new Map<string, FormFigures>();
  const times = new Map<string, number[]>();
  const operators = operatorsOf(chosen);
  const choice = [...forms].find(([, kernel]) => operatorsOf(kernel) === operators)?.[0];
  try {
    for (const [name, kernel] of forms) {
      try {
        opened.set(name, await openKernel(kernel, place));
        times.set(name, []);
      } catch (error) {
        figures.set(name, { why: (error as Error).message });
      }
    }
    for (let round = 0; round < rounds; round++)
      for (const [name, kernel] of opened) times.get(name)!.push(await kernel.round());
    const reference = opened.get(choice ?? '') ?? [...opened.values()][0];
    for (const [name, { probe }] of opened) {
      const differs = Math.abs(probe - reference.probe) > TOLERANCE * Math.max(1, Math.abs(reference.probe));
      figures.set(name, { ms: percentile(times.get(name)!, 0.5), ...(differs && { differs }) });
    }
    const ordered = new Map([...forms.keys()].map((name) => [name, figures.get(name)!]));
    return { kind, title, forms: ordered, chosen: choice };
  } finally {
    for (const kernel of opened.values()) await kernel.close();
  }
}
