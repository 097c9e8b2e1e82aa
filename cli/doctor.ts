import type { Command } from 'commander';
import { doctor } from '../src/doctor.js';
import type { Diagnosis, Finding, GraphicsFacts, NvidiaFacts, State } from '../src/doctor/diagnosis.js';
import { writeAtomically } from '../src/onnx/atomic.js';
import type { ConcreteProvider } from '../src/runtime/providers.js';
import type { Terminal } from './terminal.js';

interface Flags {
  readonly json?: string | true;
}

/** Shows what this machine has, and what would bring the rest. */
export function addDoctor(command: Command, terminal: Terminal): void {
  command
    .description('show what this machine can train on, what fails and why, and what would mend it')
    .option('--json [file]', 'print it as JSON, or write it to a file')
    .option('--debug', 'print stacks of errors')
    .helpOption('-h, --help', 'show this help')
    .action(async ({ json }: Flags) => {
      const diagnosis = await doctor();
      const text = `${JSON.stringify(diagnosis, null, 2)}\n`;
      if (json === true) terminal.out.write(text);
      else if (json !== undefined) await writeAtomically(json, new TextEncoder().encode(text));
      if (json !== true) terminal.out.write(printDiagnosis(diagnosis));
    });
  command.addHelpText(
    'after',
    `
Whatever it finds, the exit code is 0. Nothing is installed or changed; what it
proposes is the one command that would bring what is missing.

Examples:
  $ cges-compress doctor
  $ cges-compress doctor --json machine.json`,
  );
}

/** The text of `doctor`. */
export function printDiagnosis(diagnosis: Diagnosis): string {
  const { node, devices, graphics, nvidia, onnxruntime, tfjs } = diagnosis;
  return `${[
    ...[node, devices].flatMap((f) => line(f)),
    ...linesOfGraphics(graphics),
    ...linesOfNvidia(nvidia),
    ...line(onnxruntime),
    ...onnxruntime.providers.flatMap((p) => line(p, '  ')),
    'TensorFlow.js',
    ...tfjs.flatMap((p) => line({ ...p, name: p.name.replace('@tensorflow/', '') }, '  ')),
    '',
    ...linesOfTraining(diagnosis),
  ].join('\n')}\n`;
}

function linesOfTraining({ training, onnxruntime }: Diagnosis): string[] {
  const { engine, provider, why, providers, engines } = training;
  if (providers.length === 0) return [`No training here: ${why}.`];
  const software = new Set(onnxruntime.providers.filter((p) => p.software).map((p) => p.name));
  const named = (name: ConcreteProvider) => (software.has(name) ? `${name} (software)` : name);
  return [
    ...wrapped(`Training here: ${engine} on ${engine === 'tfjs' ? 'a GPU' : provider}; ${why}.`, 80),
    `--provider: ${['auto', ...providers.map(named)].join(', ')}`,
    `--engine: ${['auto', ...engines].join(', ')}`,
  ];
}

function linesOfGraphics(graphics: GraphicsFacts): string[] {
  const intact = graphics.drivers.filter((d) => d.state === 'found');
  const named = [
    ...intact.filter((d) => !d.software).map((d) => d.name),
    ...intact.filter((d) => d.software).map((d) => `${d.name} (software)`),
  ];
  return [
    ...line(graphics),
    ...(named.length > 0 ? line({ name: 'drivers', state: 'found', what: named.join(', ') }, '  ') : []),
    ...graphics.drivers.filter((d) => d.state !== 'found').flatMap((d) => line(d, '  ')),
  ];
}

/** One line where there is no such device. */
function linesOfNvidia({ driver, cuda12, cuda11 }: NvidiaFacts): string[] {
  if (driver.state === 'useless') return line({ ...driver, name: 'NVIDIA' });
  return ['NVIDIA', ...[{ ...driver, name: 'driver' }, cuda12, cuda11].flatMap((f) => line(f, '  '))];
}

const words: Readonly<Record<State, string>> = {
  works: 'works',
  found: 'found',
  missing: 'missing',
  broken: 'broken',
  useless: 'no use',
  unknown: 'unknown',
};

const NAME_WIDTH = 23;
const STATE_WIDTH = 9;

/** A finding in columns, and below it the command that helps, unbroken. */
function line({ name, state, what, command, note }: Finding, indent = ''): string[] {
  const before = NAME_WIDTH + STATE_WIDTH;
  const [first, ...rest] = wrapped(what, 80 - before);
  return [
    `${`${indent}${name}`.padEnd(NAME_WIDTH)}${words[state].padEnd(STATE_WIDTH)}${first}`,
    ...rest.map((text) => ' '.repeat(before) + text),
    ...(command ? [`    → ${command}`] : []),
    ...(command && note ? wrapped(`(${note})`, 74).map((text) => `      ${text}`) : []),
  ];
}

/** Breaks a text at spaces, and words that are longer than a line anywhere. */
function wrapped(text: string, width: number): string[] {
  const all: string[] = [];
  let current = '';
  for (const word of text.split(/\s+/).flatMap((w) => w.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])) {
    if (current && current.length + 1 + word.length > width) {
      all.push(current);
      current = '';
    }
    current = current ? `${current} ${word}` : word;
  }
  return [...all, current];
}
