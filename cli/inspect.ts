import type { Command } from 'commander';
import { inspect } from '../src/inspect.js';
import type { InspectOptions } from '../src/options.js';
import { addCommon, addInputs, addShape, addWeightChoice } from './options.js';
import { printInspection } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';

type Flags = CommonFlags & Omit<InspectOptions, 'input' | 'onEvent' | 'signal'>;

export function addInspect(command: Command, terminal: Terminal): void {
  command
    .description('show layers, costs, what is trained, what can be removed, what pins the rest')
    .argument('<in.onnx>', 'the model to look into');
  addInputs(addShape(addWeightChoice(command)));
  addCommon(command).action(async (input: string, flags: Flags) => {
    const { json, quiet, debug, ...options } = flags;
    const inspection = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      inspect({ input, ...options, ...hooks }),
    );
    terminal.out.write(printInspection(inspection));
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress inspect net.onnx
  $ cges-compress inspect detector.onnx --input-shape 1,3,320,320 \\
      --json layers.json`,
  );
}
