import { type Command, Option } from 'commander';
import { layoutNames } from '../src/options.js';
import { providers } from '../src/runtime/providers.js';
import {
  column,
  numberList,
  patterns,
  positiveInteger,
  positiveNumberList,
  scaleNumber,
  seedNumber,
  shape,
} from './values.js';

/** Options that several commands share, so that they read and mean the same everywhere. */

export function choice(flags: string, description: string, names: readonly string[]): Option {
  return new Option(flags, description).choices(names);
}

export function addData(command: Command): Command {
  return command
    .option(
      '--data <path>',
      'samples: a file or folder (IDX, CIFAR binary, images, CSV, NPY/NPZ); synthetic: made-up inputs',
    )
    .option('--val <path>', 'samples to choose by (default: a seeded 10 % of --data, never trained on)')
    .option('--label-column <name>', 'label column of a CSV file: its name, or its number from 0', column)
    .option('--mean <list>', 'subtracted after scaling, one number or one per channel', numberList)
    .option('--std <list>', 'divided by after that, one number or one per channel', positiveNumberList)
    .option('--scale <number>', 'multiplies raw values first, such as 1/255', scaleNumber)
    .addOption(choice('--layout <order>', 'order of axes, and of colours', layoutNames));
}

export function addShape(command: Command): Command {
  return command.option('--input-shape <shape>', 'sizes of free axes: 1,3,224,224 or name:1,3,224,224', shape);
}

/** For models that numbers drawn at random don't suit. */
export function addInputs(command: Command): Command {
  return command.option('--inputs <file.npz>', "sample inputs: arrays named like the model's inputs");
}

export function addRun(command: Command): Command {
  return addInputs(addShape(command))
    .option('--seed <number>', 'start of all random numbers (default: 0)', seedNumber)
    .option('--threads <number>', 'threads of onnxruntime (default: all processors)', positiveInteger)
    .addOption(choice('--provider <name>', 'what runs the models (default: auto)', ['auto', ...providers]));
}

export function addKeep(command: Command): Command {
  return command.option('--keep <patterns>', 'never cut the channels of weights or nodes of these names', patterns);
}

export function addWeightChoice(command: Command): Command {
  return addKeep(
    command
      .option('--freeze <patterns>', 'leave weights of these names as they are', patterns)
      .option('--train <patterns>', 'train constants of these names too', patterns),
  );
}

export function addForce(command: Command): Command {
  return command.option('--force', 'let the output replace the input file');
}

export function addCommon(command: Command): Command {
  return command
    .option('--json <file>', 'write the result as JSON')
    .option('--quiet', 'print no progress')
    .option('--debug', 'print stacks of errors')
    .helpOption('-h, --help', 'show this help');
}
