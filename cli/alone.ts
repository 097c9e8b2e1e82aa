import { Command } from 'commander';
import { CgesError } from '../src/errors.js';
import { addDoctor } from './doctor.js';
import { describeFailure } from './failure.js';
import type { Terminal } from './terminal.js';

/** Runs what needs no library of native code, where one does not load: the doctor. @returns the exit code. */
export async function runAlone(args: readonly string[], terminal: Terminal, cause: unknown): Promise<number> {
  if (args[0] === 'doctor') {
    const command = new Command('cges-compress doctor');
    addDoctor(command, terminal);
    await command.parseAsync(args.slice(1), { from: 'user' });
    return 0;
  }
  const { text, exit } = describeFailure(asFailure(cause), args.includes('--debug'));
  terminal.err.write(text);
  return exit;
}

function asFailure(cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (!['ERR_DLOPEN_FAILED', 'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(code ?? '')) return cause;
  return new CgesError('PROVIDER_UNAVAILABLE', `a library does not load: ${message.split('\n')[0]}`, {
    hint: 'npm rebuild may mend it; cges-compress doctor tells what this machine has',
    cause,
  });
}
