import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../onnx/make.js';
import { encodeModel } from '../onnx/write.js';
import { type ConcreteProvider, providers as names } from '../runtime/providerNames.js';
import { float32 } from '../tensor/tensor.js';
import { ask } from './child.js';
import type {
  DevicesFacts,
  Finding,
  GraphicsFacts,
  NvidiaFacts,
  OnnxruntimeFacts,
  ProviderFacts,
} from './diagnosis.js';
import { exists, type Machine } from './machine.js';
import { soft } from './soft.js';

/** What other probes found, by which a provider's failure is explained. */
export interface Surroundings {
  readonly devices: DevicesFacts;
  readonly graphics: GraphicsFacts;
  readonly nvidia: NvidiaFacts;
}

interface Survey {
  readonly version: string;
  readonly folder: string;
  readonly backends: readonly { readonly name: string; readonly bundled: boolean }[];
}

const NAME = 'onnxruntime-node';

/**
 * Loads onnxruntime, and computes something on each of its providers, each in a process of its own.
 * @param seconds after which a provider is given up
 */
export async function probeOnnxruntime(
  machine: Machine,
  around: Surroundings,
  seconds: number,
): Promise<OnnxruntimeFacts> {
  if (!machine.onnxruntime) {
    const command = 'npm install onnxruntime-node';
    return { name: NAME, state: 'missing', what: 'not installed', command, providers: [] };
  }
  const { said, why } = await ask<Survey>(machine, survey, [machine.onnxruntime], seconds);
  if (!said) return { name: NAME, state: 'broken', ...mending(machine, firstLine(why)), providers: [] };
  const { version, folder, backends } = said;
  const providers: ProviderFacts[] = [];
  for (const name of names) {
    const backend = backends.find((b) => b.name === name);
    const rest = { known: backend !== undefined, bundled: backend?.bundled ?? false, software: false };
    const probe = () => probeProvider(machine, { name, ...rest }, { around, seconds, folder });
    providers.push(await soft<ProviderFacts>(name, rest, probe));
  }
  return { name: NAME, state: 'works', what: `version ${version}`, version, folder, providers };
}

function mending(machine: Machine, why: string): Pick<Finding, 'what' | 'command'> {
  if (exists(machine, '/etc/alpine-release')) {
    return { what: `${why}; it needs the GNU C library, which Alpine Linux does not have` };
  }
  return { what: why, command: `npm install ${NAME}` };
}

const survey = `
  const { dirname, join } = require('node:path');
  const ort = require(args[0]);
  const folder = dirname(dirname(args[0]));
  const { version } = require(join(folder, 'package.json'));
  say({ version, folder, backends: ort.listSupportedBackends() });`;

interface Trial {
  readonly around: Surroundings;
  readonly seconds: number;
  /** Of onnxruntime-node. */
  readonly folder: string;
}

type Unjudged = Omit<ProviderFacts, 'state' | 'what'>;

async function probeProvider(machine: Machine, facts: Unjudged, trial: Trial): Promise<ProviderFacts> {
  const { name } = facts;
  if (!facts.known) return { ...facts, state: 'useless', what: absence(machine, name) };
  const { nvidia } = trial.around;
  const cuda = name === 'cuda' || name === 'tensorrt';
  if (cuda && nvidia.driver.state === 'useless') return { ...facts, state: 'useless', what: nvidia.driver.what };
  if (cuda && !hasLibrary(machine, name, trial.folder)) return { ...facts, ...unfetched(name, trial.folder) };
  const args = [machine.onnxruntime!, name, oneNode()];
  const { said, why, err } = await ask<{ y: number[]; ms: number }>(machine, compute, args, trial.seconds);
  if (!said) return { ...facts, ...failure(name, reasonIn(why, err), trial.around) };
  if (!isRight(said.y))
    return { ...facts, state: 'broken', what: `computes wrongly: ${said.y} instead of ${EXPECTED}` };
  const software = name === 'webgpu' && inSoftware(trial.around);
  const what = software ? 'computes, in software: slower than cpu' : 'computes';
  return { ...facts, state: 'works', what, software, startMs: Math.round(said.ms) };
}

const compute = `
  const [main, provider, model] = args;
  const start = performance.now();
  const { InferenceSession, Tensor } = require(main);
  const session = await InferenceSession.create(Buffer.from(model, 'base64'), {
    executionProviders: [provider],
    logSeverityLevel: 3,
    ...(provider !== 'cpu' && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
  });
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]) });
  say({ y: [...y.data], ms: performance.now() - start });`;

const EXPECTED = [7, 10, 15, 22];

function isRight(y: readonly number[]): boolean {
  return EXPECTED.every((value, i) => Math.abs(value - y[i]) < 1e-2);
}

/** A square matrix times a constant one. */
function oneNode(): string {
  const graph = makeGraph({
    node: [makeNode('MatMul', ['x', 'w'], ['y'])],
    initializer: [makeTensor('w', float32([2, 2], Float32Array.of(1, 2, 3, 4)))],
    input: [makeValueInfo('x', 'float32', [2, 2])],
    output: [makeValueInfo('y', 'float32', [2, 2])],
  });
  return Buffer.from(encodeModel(makeModel(graph, 18))).toString('base64');
}

/** Whether there is nothing for webgpu to compute on but the processor. */
function inSoftware({ devices, graphics }: Surroundings): boolean {
  if (devices.state === 'missing') return true;
  if (graphics.api !== 'vulkan') return false;
  const intact = graphics.drivers.filter((d) => d.state === 'found');
  return intact.length > 0 && intact.every((d) => d.software);
}

const homes: Readonly<Record<ConcreteProvider, string>> = {
  cpu: 'every system',
  webgpu: 'Windows, macOS, and Linux on x64',
  cuda: 'Linux on x64',
  tensorrt: 'Linux on x64',
  dml: 'Windows',
  coreml: 'macOS',
};

function absence({ platform, arch }: Machine, name: ConcreteProvider): string {
  return `is for ${homes[name]}; this is ${platform} ${arch}`;
}

function hasLibrary({ platform, arch }: Machine, name: string, folder: string): boolean {
  return existsSync(join(folder, 'bin', 'napi-v6', platform, arch, `libonnxruntime_providers_${name}.so`));
}

function unfetched(name: ConcreteProvider, folder: string): Omit<Finding, 'name'> {
  if (name === 'tensorrt') return { state: 'missing', what: 'its library comes with that of cuda' };
  return {
    state: 'missing',
    what: 'its library was not downloaded when onnxruntime-node was installed',
    command: `ONNXRUNTIME_NODE_INSTALL=true ${installStep(folder)}`,
    note: 'downloads some hundred MB from api.nuget.org',
  };
}

/** @returns what runs the install step of onnxruntime-node again: of a project by npm, elsewhere by itself. */
function installStep(folder: string): string {
  const near = relative(process.cwd(), folder);
  if (near === join('node_modules', NAME)) return `npm rebuild ${NAME}`;
  const script = join(folder, 'script', 'install.js');
  return `node ${/[^\w./@+-]/.test(script) ? `"${script}"` : script}`;
}

/** @returns what onnxruntime says, without the places in its sources, and with what a loader or driver added. */
function reasonIn(why: string | undefined, err: string): string {
  const library = /Failed to load library \S+ with error: (.*)/.exec(err)?.[1];
  if (library) return library.replace(/^.*?(lib[\w.-]+\.so[\w.]*: .*)$/, '$1').trim();
  const message = firstLine(why).replace(/^\/onnxruntime_src\/.* was false\. /, '');
  const warnings = [...err.matchAll(/^Warning: (.*)$/gm)].map(([, text]) => text.trim());
  return [message, ...new Set(warnings)].join('; ');
}

function firstLine(text = ''): string {
  return text.trim().split('\n')[0];
}

function failure(name: ConcreteProvider, why: string, { devices, nvidia }: Surroundings): Omit<Finding, 'name'> {
  if (name === 'webgpu' && devices.state === 'missing') {
    return { state: 'useless', what: `there is no GPU for it (${why})` };
  }
  const lacking = [nvidia.driver, nvidia.cuda12].filter((f) => f.state === 'missing' || f.state === 'broken');
  if ((name === 'cuda' || name === 'tensorrt') && lacking.length > 0) {
    return { state: 'broken', what: `${why}; first mend: ${lacking.map((f) => f.name).join(' and ')}` };
  }
  if (name === 'tensorrt') {
    const command = 'https://docs.nvidia.com/deeplearning/tensorrt/latest/installing-tensorrt/installing.html';
    return { state: 'broken', what: why, ...(/libnvinfer|libnvonnx/.test(why) && { command }) };
  }
  return { state: 'broken', what: why };
}
