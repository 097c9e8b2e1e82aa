import { cpus } from 'node:os';
import { CgesError } from '../src/errors.js';
import { writeAtomically } from '../src/onnx/atomic.js';
import type { ConcreteProvider } from '../src/runtime/providers.js';
import { kernelKinds, type KernelKind } from './kernelCases.js';
import { type KernelFigures, kernelFootnote, kernelTable } from './kernelFigures.js';
import { measureKernels } from './measureKernels.js';
import { measureNets, netText } from './measureNets.js';
import { nets } from './nets.js';
import { type EngineName, type Place, requirePlace, type Scale } from './place.js';
import { placementTable } from './profile.js';
import { measurePlacement, measureResidency } from './residency.js';
import { residencyText } from './residencyFigures.js';
import { openTorch, type Torch } from './torch.js';

export interface DeviceOptions {
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly threads: number;
  readonly python?: string;
  readonly json?: string;
  readonly provider?: ConcreteProvider;
  readonly engine?: EngineName;
  readonly scale: Scale;
  readonly batch?: number;
  readonly kernels?: boolean;
  readonly residency?: boolean;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Measures nets, forms of gradients, or residency on one engine and provider. @returns the exit code */
export async function runOnDevice(options: DeviceOptions): Promise<number> {
  const { provider = 'cpu', engine = 'onnxruntime', threads, scale, rounds } = options;
  const known = options.kernels ? [...kernelKinds] : nets.map((n) => n.name);
  const unknown = options.only?.find((name) => !known.includes(name));
  if (unknown !== undefined) return refuse(`there is no '${unknown}': there are ${known.join(', ')}`);
  const place: Place = { engine, provider, threads };
  let name: string;
  try {
    name = await requirePlace(place);
  } catch (error) {
    if (!(error instanceof CgesError)) throw error;
    return refuse(`${error.message}\n${error.hint ?? ''}`);
  }
  const processor = cpus()[0]?.model ?? 'unknown processor';
  say(`${name}, ${rounds} rounds, ${scale} scale; ${processor}, ${threads} threads, Node ${process.versions.node}`);
  const figures = options.kernels
    ? await kernels(place, options)
    : options.residency
      ? await residency(place, options)
      : await wholeNets(place, options);
  if (options.json) {
    const machine = { processor, threads, node: process.versions.node, on: name, scale };
    const text = JSON.stringify({ schemaVersion: 1, machine, rounds, ...figures }, null, 2);
    await writeAtomically(options.json, new TextEncoder().encode(`${text}\n`));
  }
  return 0;
}

function refuse(why: string): number {
  process.stderr.write(`${why.trim()}\n`);
  return 2;
}

async function wholeNets(place: Place, options: DeviceOptions): Promise<object> {
  const { scale, rounds, batch, only } = options;
  const chosen = nets.filter((n) => only?.includes(n.name) ?? true);
  const torch = await torchBeside(place, options);
  try {
    const results = await measureNets(chosen, { place, scale, rounds, batch, torch });
    say(netText(results, chosen));
    return { nets: results };
  } finally {
    torch?.close();
  }
}

/** @returns PyTorch on the same kind of device, where it is asked for and there; says what it found */
async function torchBeside(
  { engine, provider, threads }: Place,
  { python }: DeviceOptions,
): Promise<Torch | undefined> {
  if (python === undefined) {
    say('PyTorch is measured beside it when a Python with torch is given: --python PATH');
    return undefined;
  }
  const onCpu = engine === 'onnxruntime' && provider === 'cpu';
  const torch = await openTorch(python, threads, onCpu ? 'cpu' : 'auto');
  if (typeof torch !== 'string') say(`PyTorch ${torch.version} eager beside it, on ${torch.device}`);
  else say(`PyTorch is left out: ${python} has none that works (${torch})`);
  return typeof torch === 'string' ? undefined : torch;
}

async function kernels(place: Place, { scale, rounds, batch, only }: DeviceOptions): Promise<object> {
  const kinds = kernelKinds.filter((kind: KernelKind) => only?.includes(kind) ?? true);
  const figures: KernelFigures[] = [];
  for (const kind of kinds) {
    const measured = await measureKernels({ place, scale, rounds, batch, kinds: [kind] });
    say(`${kernelTable(kind, measured)}\n`);
    figures.push(...measured);
  }
  say(kernelFootnote);
  return { kernels: figures.map((f) => ({ ...f, forms: Object.fromEntries(f.forms) })) };
}

async function residency(place: Place, { scale, rounds, only }: DeviceOptions): Promise<object> {
  const figures = await measureResidency(place, scale, rounds);
  const separate = place.engine === 'tfjs' || place.provider !== 'cpu';
  say(residencyText(figures, separate));
  if (place.engine === 'tfjs') return { residency: figures };
  const placements = await measurePlacement(place, scale, only);
  say(placementTable(placements));
  return { residency: figures, placements: Object.fromEntries(placements) };
}
