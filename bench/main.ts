import { Command, Option } from 'commander';
import { engineNames } from '../src/options.js';
import { positiveInteger, seedNumber } from '../cli/values.js';
import { providers } from '../src/runtime/providers.js';
import { defaultThreads } from '../src/runtime/threads.js';
import { runCases } from './cases.js';
import { kernelKinds } from './kernelCases.js';
import { measurementNames, runMeasurements } from './measurements.js';
import { nets } from './nets.js';
import { scales } from './place.js';
import { runOnDevice } from './runOnDevice.js';

/*
 * `npm run bench`: measurements of speed on the processor. With `--provider` or `--engine`: nets on any device; `--kernels` and
 * `--residency`: what they are made of. `npm run bench -- cases`: the acceptance cases on real data.
 */

const list = (text: string, previous: string[] = []) => [...previous, ...text.split(',').map((part) => part.trim())];

const program = new Command('bench')
  .description('Measures training steps, strip and export, and memory; `cases` reruns the acceptance cases.')
  .option(
    '--only <names>',
    `of ${measurementNames.join(', ')}; on a device of ${nets.map((n) => n.name).join(', ')}; with --kernels of ${kernelKinds.join(', ')}`,
    list,
  )
  .option('--rounds <number>', 'rounds in which everything takes its turn', positiveInteger, 7)
  .option('--threads <number>', 'threads of each side', positiveInteger, defaultThreads())
  .option('--python <path>', 'a Python with torch: its figures for the same steps, interleaved')
  .option('--model <file>', 'strip: a model, half of whose units are set to zero first')
  .option('--json <file>', 'write the figures as JSON')
  .addOption(new Option('--provider <name>', 'nets on a provider of onnxruntime').choices(providers))
  .addOption(new Option('--engine <name>', 'nets by an engine').choices(['onnxruntime', 'tfjs']))
  .addOption(new Option('--scale <name>', 'small: sizes for slow devices').choices(scales).default('full'))
  .option('--batch <number>', "in place of the nets' own batches", positiveInteger)
  .option('--kernels', 'times the forms of gradients that the compiler chooses from')
  .option('--residency', 'step time against the size of the state, and where nodes run')
  .option('--by-hand', 'with --engine tfjs: beside the same nets written by hand')
  .enablePositionalOptions()
  .action(async (options) => {
    const { provider, engine, kernels, residency, byHand } = options;
    const onDevice = !byHand && (provider || engine || kernels || residency);
    process.exitCode = onDevice ? await runOnDevice(options) : await runMeasurements(options);
  });

program
  .command('cases')
  .description('Reruns the acceptance cases on the models and data beside the project (../shared).')
  .option('--only <names>', 'cases by name', list)
  .option('--seed <number>', 'start of all random numbers', seedNumber, 0)
  .option('--out <folder>', 'where models and results go', 'out/cases')
  .option('--steps <number>', 'training steps of the cases that train from scratch, for a quick look', positiveInteger)
  .addOption(new Option('--engine <name>', 'what trains in mnist-paper').choices(engineNames))
  .action(async (options) => {
    process.exitCode = await runCases(options);
  });

await program.parseAsync();
