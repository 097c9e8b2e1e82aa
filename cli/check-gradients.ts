import type { Command } from 'commander';
import { checkGradients } from '../src/checkGradients.js';
import { CgesError } from '../src/errors.js';
import type { CheckGradientsOptions } from '../src/options.js';
import { addCommon, addInputs, addShape } from './options.js';
import { printGradients } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';
import { patterns, seedNumber } from './values.js';

type Flags = CommonFlags & Omit<CheckGradientsOptions, 'input' | 'onEvent' | 'signal'>;

export function addCheckGradients(command: Command, terminal: Terminal): void {
  command
    .description('compare compiled gradients with a reference, or with central differences')
    .argument('<in.onnx>', 'the model whose gradients are checked')
    .option('--reference <json>', 'gradients that another tool computed (default: central differences)')
    .option('--train <patterns>', 'train constants of these names too', patterns)
    .option('--seed <number>', 'start of all random numbers (default: 0)', seedNumber);
  addInputs(addShape(command));
  addCommon(command).action(async (input: string, flags: Flags) => {
    const { json, quiet, debug, ...options } = flags;
    const report = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      checkGradients({ input, ...options, ...hooks }),
    );
    terminal.out.write(printGradients(report));
    if (report.agree) return;
    const { counts, lossCheck, against } = report;
    const nothing = counts.WRONG === 0 && lossCheck.verdict !== 'WRONG';
    throw new CgesError(
      'GRADIENT_WRONG',
      nothing ? 'nothing could be compared' : `the gradients differ from the ${against}`,
      {
        file: input,
        hint: nothing
          ? 'the lines above tell why; --inputs gives other inputs'
          : 'lines marked WRONG tell which; please report it with the model, unless the reference is of other weights',
      },
    );
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress check-gradients net.onnx
  $ cges-compress check-gradients net.onnx --reference torch.json \\
      --json gradients.json

A reference tells the inputs by their seeds, and what the gradients of the loss
come to; the README describes it. Exit code 7 means that something differs.`,
  );
}
