import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { CgesError, exitCodes } from '../src/errors.js';
import { addCheckGradients } from './check-gradients.js';
import { addCompare } from './compare.js';
import { addCompress } from './compress.js';
import { addDoctor } from './doctor.js';
import { describeFailure } from './failure.js';
import { addInspect } from './inspect.js';
import { addOps } from './ops.js';
import { addStrip } from './strip.js';
import type { Terminal } from './terminal.js';

const commands = {
  strip: addStrip,
  compare: addCompare,
  inspect: addInspect,
  'check-gradients': addCheckGradients,
  ops: addOps,
  doctor: addDoctor,
};

/** Runs the command line. @returns the exit code. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const program = createProgram(terminal);
    if (args.length === 0) {
      terminal.err.write(program.helpInformation());
      return exitCodes.usage;
    }
    refuseMisspelt(args);
    await program.parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { text, exit } = describeFailure(error, args.includes('--debug'));
    terminal.err.write(text);
    return exit;
  }
}

export function createProgram(terminal: Terminal): Command {
  const program = new Command('cges-compress')
    .description(
      'Makes an ONNX model smaller and faster: fine-tunes it with CGES sparsity, removes dead channels, recovers its accuracy, and proves the result.',
    )
    .version(packageVersion(), '--version', 'show the version')
    .helpCommand(false)
    .enablePositionalOptions();
  prepare(program, terminal);
  addCompress(program, terminal);
  for (const [name, add] of Object.entries(commands)) {
    const command = program.command(name);
    prepare(command, terminal);
    add(command, terminal);
  }
  return program;
}

function prepare(command: Command, terminal: Terminal): void {
  command
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({
      helpWidth: 80,
      subcommandTerm: (sub) => sub.name(),
      optionDescription: ({ description, argChoices }) =>
        argChoices ? `${description}: ${argChoices.join(', ')}` : description,
    })
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      outputError: (text, write) =>
        write(`${text.trimEnd()}\n  hint:  ${nameOf(command)} --help shows what there is\n`),
    });
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}

/** A misspelt command would be taken for the name of a model. */
function refuseMisspelt(args: readonly string[]): void {
  const first = args[0];
  if (first.startsWith('-') || first in commands || existsSync(first)) return;
  const meant = Object.keys(commands).find((name) => distance(first.toLowerCase(), name) <= 2);
  if (!meant) return;
  throw new CgesError('USAGE', `there is no command '${first}'`, { hint: `did you mean cges-compress ${meant}?` });
}

/** Edit distance (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/** By the package's own name: the file lies elsewhere in a build than in the sources. */
function packageVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('cges-compress/package.json');
  return version;
}
