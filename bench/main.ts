import { Command, Option } from 'commander';
import { positiveInteger, seedNumber } from '../cli/values.js';
import { defaultThreads } from '../src/runtime/threads.js';
import { runCases } from './cases.js';
import { measurementNames, runMeasurements } from './measurements.js';

/* `npm run bench`: measurements of speed. `npm run bench -- cases`: the acceptance cases on real data. */

const list = (text: string, previous: string[] = []) => [...previous, ...text.split(',').map((part) => part.trim())];

const program = new Command('bench')
  .description('Measures training steps, strip and export, and memory; `cases` reruns the acceptance cases.')
  .option('--only <names>', `of ${measurementNames.join(', ')}`, list)
  .option('--rounds <number>', 'rounds in which everything takes its turn', positiveInteger, 7)
  .option('--threads <number>', 'threads of each side', positiveInteger, defaultThreads())
  .option('--python <path>', 'a Python with torch: its figures for the same steps, interleaved')
  .option('--model <file>', 'strip: a model, half of whose units are set to zero first')
  .option('--json <file>', 'write the figures as JSON')
  .addOption(
    new Option('--engine <name>', 'tfjs: the same steps by the tfjs engine and by hand').choices([
      'onnxruntime',
      'tfjs',
    ]),
  )
  .enablePositionalOptions()
  .action(async (options) => {
    process.exitCode = await runMeasurements(options);
  });

program
  .command('cases')
  .description('Reruns the acceptance cases on the models and data beside the project (../shared).')
  .option('--only <names>', 'cases by name', list)
  .option('--seed <number>', 'start of all random numbers', seedNumber, 0)
  .option('--out <folder>', 'where models and results go', 'out/cases')
  .option('--steps <number>', 'training steps of the cases that train from scratch, for a quick look', positiveInteger)
  .action(async (options) => {
    process.exitCode = await runCases(options);
  });

await program.parseAsync();
