import type { Command } from 'commander';
import type { StripOptions } from '../src/options.js';
import { strip } from '../src/strip.js';
import { addCommon, addForce, addKeep, addRun } from './options.js';
import { printReport } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';
import { share } from './values.js';

type Flags = CommonFlags & Omit<StripOptions, 'input' | 'output' | 'onEvent' | 'signal'>;

export function addStrip(command: Command, terminal: Terminal): void {
  command
    .description('remove what is already dead, exactly and without training')
    .argument('<in.onnx>', 'a model with dead channels')
    .argument('<out.onnx>', 'where the smaller model is written, once it is valid');
  addForce(addRun(addKeep(command)))
    .option(
      '--random <share>',
      'a self-test: first set this share of all removable units to zero, drawn by --seed',
      share,
    )
    .option('--save-zeroed <file>', 'with --random: write the model with these zeros as well');
  addCommon(command).action(async (input: string, output: string, flags: Flags) => {
    const { json, quiet, debug, ...options } = flags;
    const report = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      strip({ input, output, ...options, ...hooks }),
    );
    terminal.out.write(printReport(report));
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress strip sparse.onnx stripped.onnx
  $ cges-compress strip detector.onnx small.onnx --input-shape 1,3,320,320 \\
      --keep "head.*"
  $ cges-compress strip net.onnx stripped.onnx --random 0.3 --seed 7 \\
      --save-zeroed zeroed.onnx`,
  );
}
