import { findTfjs, type FoundTfjs, type TfjsPackage, tfjsPackages } from '../runtime/tfjs.js';
import { ask } from './child.js';
import type { Finding, NvidiaFacts, TfjsFacts } from './diagnosis.js';
import type { Machine } from './machine.js';
import { soft } from './soft.js';

/** The last version of Node that tfjs-node 4.22 is made for. */
const LAST_NODE = 22;

/**
 * Finds the packages that bring TensorFlow.js, and computes something with each, in a process of its own.
 * @param seconds after which a package is given up
 */
export async function probeTfjs(machine: Machine, nvidia: NvidiaFacts, seconds: number): Promise<TfjsFacts[]> {
  const facts: TfjsFacts[] = [];
  for (const name of tfjsPackages) {
    facts.push(await soft<TfjsFacts>(name, {}, () => probePackage(machine, name, nvidia, seconds)));
  }
  return facts;
}

async function probePackage(
  machine: Machine,
  name: TfjsPackage,
  nvidia: NvidiaFacts,
  seconds: number,
): Promise<TfjsFacts> {
  const found = findTfjs([name]);
  const gpu = name.endsWith('-gpu');
  if ('missing' in found) {
    if (found.partial) return { name, state: 'broken', what: found.missing, ...rebuild(machine, name) };
    return { name, ...absence(machine, name, gpu ? nvidia : undefined) };
  }
  const { version, folder } = found;
  const { said, why } = await ask<Said>(machine, compute, [folder], seconds);
  if (!said) return { name, state: 'broken', what: why ?? '', ...rebuild(machine, name), version, folder };
  if (said.y.join() !== '7,10,15,22') {
    return { name, state: 'broken', what: `computes wrongly: ${said.y}`, version, folder };
  }
  const device = said.gpu ? 'cuda' : 'cpu';
  return {
    name,
    state: 'works',
    what: `${version}${placeOf(found, device, nvidia)}${ageOf(machine)}`,
    version,
    folder,
    device,
  };
}

interface Said {
  readonly y: readonly number[];
  readonly gpu: boolean;
}

/** As `loadTfjs` does it; Node 23 no longer has the two functions of `util`. */
const compute = `
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  const util = require('node:util');
  util.isNullOrUndefined ??= (v) => v === null || v === undefined;
  util.isArray ??= Array.isArray;
  const tf = require(args[0]);
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  say({ y: [...tf.matMul(x, x).dataSync()], gpu: tf.backend().binding.isUsingGpuDevice() });`;

function placeOf({ gpu }: FoundTfjs, device: 'cpu' | 'cuda', { cuda11 }: NvidiaFacts): string {
  if (device === 'cuda') return ', computes on the GPU';
  if (!gpu) return ', computes on the processor';
  const why = cuda11.state === 'found' ? '' : `: ${cuda11.name}: ${cuda11.what}`;
  return `, finds no GPU and computes on the processor${why}`;
}

function ageOf({ node }: Machine): string {
  return isTooNew(node)
    ? `; made for Node up to ${LAST_NODE}: other programs may need functions that Node 23 removed`
    : '';
}

function isTooNew(node: string): boolean {
  return Number.parseInt(node) > LAST_NODE;
}

function rebuild(machine: Machine, name: TfjsPackage): Pick<Finding, 'command' | 'note'> {
  return { command: `npm rebuild ${elsewhere(machine)}${name}`, note: 'downloads TensorFlow' };
}

function absence(machine: Machine, name: TfjsPackage, nvidia: NvidiaFacts | undefined): Omit<Finding, 'name'> {
  const { driver, cuda11 } = nvidia ?? {};
  const useless = driver?.state === 'useless' ? driver.what : cuda11?.state === 'useless' ? cuda11.what : undefined;
  if (useless !== undefined) return { state: 'useless', what: useless };
  if (!isBuiltFor(machine)) return { state: 'useless', what: `is not built for ${machine.platform} ${machine.arch}` };
  const age = isTooNew(machine.node) ? `; it is made for Node up to ${LAST_NODE}` : '';
  const command = `npm install ${elsewhere(machine)}${name}`;
  return {
    state: 'missing',
    what: `not installed, and not needed${age}`,
    command,
    note: 'a second engine, taken where it is faster',
  };
}

/** Packages are looked for in one folder only where this is set. */
function elsewhere({ env }: Machine): string {
  return env.CGES_TFJS_DIR ? `--prefix ${env.CGES_TFJS_DIR} ` : '';
}

function isBuiltFor({ platform, arch }: Machine): boolean {
  return arch === 'x64' || (arch === 'arm64' && platform !== 'win32');
}
