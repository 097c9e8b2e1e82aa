#!/usr/bin/env node
import { runAlone } from './alone.js';

// A reader that has seen enough (`| head`) closes the pipe: that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const args = process.argv.slice(2);
const terminal = { out: process.stdout, err: process.stderr };

process.exitCode = await import('./program.js').then(
  ({ runProgram }) => runProgram(args, terminal),
  (cause: unknown) => runAlone(args, terminal, cause),
);
