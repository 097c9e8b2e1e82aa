import type { Command } from 'commander';
import { compress } from '../src/compress.js';
import {
  augmentNames,
  type CompressOptions,
  engineNames,
  groupingNames,
  lossNames,
  optimizerNames,
  precisionNames,
  regularizerNames,
} from '../src/options.js';
import { addCommon, addData, addForce, addRun, addWeightChoice, choice } from './options.js';
import { printReport } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';
import { duration, numberAtLeastZero, positiveInteger, positiveNumber, upToHalf, wholeNumber } from './values.js';

type Flags = CommonFlags & Omit<CompressOptions, 'input' | 'output' | 'onEvent' | 'signal'>;

/** The default command: fine-tune with CGES, strip, recover, validate, write. */
export function addCompress(command: Command, terminal: Terminal): void {
  command
    .argument('<in.onnx>', 'the model to compress')
    .argument('<out.onnx>', 'where the smaller model is written, once it is valid');
  command.optionsGroup('Data:');
  addData(command).addOption(
    choice('--augment <kind>', 'random changes of training samples (default: chosen from the data)', augmentNames),
  );
  command.optionsGroup('What is trained and cut:');
  addWeightChoice(command);
  command.optionsGroup('Training:');
  command
    .addOption(choice('--loss <name>', 'loss (default: chosen from outputs and labels)', lossNames))
    .addOption(choice('--bn <mode>', 'BatchNormalization by batch or by stored statistics', ['live', 'frozen']))
    .addOption(choice('--regularizer <name>', 'kind of sparsity (default: cges)', regularizerNames))
    .addOption(choice('--grouping <name>', 'whole units, or as the paper groups (default: channel)', groupingNames))
    .option('--lambda <number>', 'strength of the regularizer (default: chosen)', numberAtLeastZero)
    .option('--m <number>', 'balance of group and exclusive sparsity, 0 … 0.5 (default: 0.2)', upToHalf)
    .option('--epochs <number>', 'epochs with sparsity (default: by size of data)', positiveInteger)
    .option('--recover-epochs <number>', 'epochs after the strip (default: by size of data)', wholeNumber)
    .option('--time-budget <time>', 'end by then with the best valid model: 90s, 20m, 1h', duration)
    .option('--batch <number>', 'samples per step (default: chosen)', positiveInteger)
    .addOption(choice('--optimizer <name>', 'optimizer (default: chosen)', optimizerNames))
    .option('--lr <number>', 'learning rate (default: chosen)', positiveNumber)
    .option('--checkpoint <folder>', 'save the state there; the same command continues from it');
  command.optionsGroup('Running:');
  command.addOption(choice('--engine <name>', 'what executes training steps (default: auto)', engineNames));
  command.addOption(
    choice('--precision <name>', 'products of training steps in halves, on a GPU (default: fp32)', precisionNames),
  );
  addForce(addRun(command));
  addCommon(command).action(async (input: string, output: string, flags: Flags) => {
    const { json, quiet, debug, ...options } = flags;
    const report = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      compress({ input, output, ...options, ...hooks }),
    );
    terminal.out.write(printReport(report));
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress mnist.onnx small.onnx --data mnist/
  $ cges-compress net.onnx small.onnx --data photos/train --val photos/val \\
      --time-budget 1h --json report.json`,
  );
}
