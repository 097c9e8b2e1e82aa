#!/usr/bin/env node
import { runAlone } from './alone.js';

// A reader that has seen enough (`| head`) closes the pipe: that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const args = process.argv.slice(2);
const terminal = { out: process.stdout, err: process.stderr };

// Each by itself first: in the midst of other modules, a failure ends Node 20 even where it is caught.
process.exitCode = await import('onnxruntime-node')
  .then(() => import('sharp'))
  .then(() => import('./program.js'))
  .then(
    ({ runProgram }) => runProgram(args, terminal),
    (cause: unknown) => runAlone(args, terminal, cause),
  );
