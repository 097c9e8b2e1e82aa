import type { Command } from 'commander';
import { compare } from '../src/compare.js';
import type { CompareOptions } from '../src/options.js';
import { addCommon, addData, addRun } from './options.js';
import { printComparison } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';

type Flags = CommonFlags & Omit<CompareOptions, 'a' | 'b' | 'onEvent' | 'signal'>;

export function addCompare(command: Command, terminal: Terminal): void {
  command
    .description('set two models side by side: size, parameters, MACs, latency, accuracy, drift')
    .argument('<a.onnx>', 'the model to start from')
    .argument('<b.onnx>', 'the model to hold against it');
  addRun(addData(command));
  addCommon(command).action(async (a: string, b: string, flags: Flags) => {
    const { json, quiet, debug, ...options } = flags;
    const comparison = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      compare({ a, b, ...options, ...hooks }),
    );
    terminal.out.write(printComparison(comparison));
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress compare mnist.onnx small.onnx --data mnist/
  $ cges-compress compare before.onnx after.onnx --threads 1 \\
      --json comparison.json`,
  );
}
