import type { Command } from 'commander';
import { writeAtomically } from '../src/onnx/atomic.js';
import { supportTable } from '../src/ops/index.js';
import { supportMarkdown, supportText } from '../src/report/support.js';
import type { Terminal } from './terminal.js';

interface Flags {
  readonly json?: string | true;
  readonly markdown?: boolean;
}

/** Shows what is known of each operator. */
export function addOps(command: Command, terminal: Terminal): void {
  command
    .description('list the operators that are known: gradients, channels, costs')
    .option('--json [file]', 'print it as JSON, or write it to a file')
    .option('--markdown', 'print it as a Markdown table')
    .option('--debug', 'print stacks of errors')
    .helpOption('-h, --help', 'show this help')
    .action(async ({ json, markdown }: Flags) => {
      const table = supportTable();
      const text = `${JSON.stringify({ schemaVersion: 1, command: 'ops', operators: table }, null, 2)}\n`;
      if (json === true) terminal.out.write(text);
      else if (json !== undefined) await writeAtomically(json, new TextEncoder().encode(text));
      if (json !== true) terminal.out.write(markdown ? supportMarkdown(table) : supportText(table));
    });
  command.addHelpText(
    'after',
    `
An operator without a gradient can stand before what is trained, not after it;
one without a channel rule pins the channels that it touches.

Examples:
  $ cges-compress ops
  $ cges-compress ops --json operators.json`,
  );
}
