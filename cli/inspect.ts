import type { Command } from 'commander';
import { inspect } from '../src/inspect.js';
import { checkWritable, writeAtomically } from '../src/onnx/atomic.js';
import type { InspectOptions } from '../src/options.js';
import { inspectionPage } from '../src/report/inspectionPage.js';
import { addCommon, addInputs, addShape, addWeightChoice } from './options.js';
import { printInspection } from './printing.js';
import { type CommonFlags, type Terminal, withProgress } from './terminal.js';

type Flags = CommonFlags & Omit<InspectOptions, 'input' | 'onEvent' | 'signal'> & { readonly html?: string };

export function addInspect(command: Command, terminal: Terminal): void {
  command
    .description('show layers, costs, what is trained, what can be removed, what pins the rest')
    .argument('<in.onnx>', 'the model to look into');
  addInputs(addShape(addWeightChoice(command))).option(
    '--html <file>',
    'draw it as a page: every axis of every weight',
  );
  addCommon(command).action(async (input: string, flags: Flags) => {
    const { json, html, quiet, debug, ...options } = flags;
    if (html) await checkWritable(html);
    const inspection = await withProgress(terminal, { json, quiet, debug }, (hooks) =>
      inspect({ input, ...options, ...hooks }),
    );
    if (html) await writeAtomically(html, new TextEncoder().encode(inspectionPage(inspection)));
    terminal.out.write(printInspection(inspection));
    if (html) terminal.out.write(`\nWritten: ${html}\n`);
  });
  command.addHelpText(
    'after',
    `
Examples:
  $ cges-compress inspect net.onnx --html net.html
  $ cges-compress inspect detector.onnx --input-shape 1,3,320,320 \\
      --json layers.json`,
  );
}
