import { CgesError, exitCodes, type Place } from '../src/errors.js';

/** @returns what the user is told of an error: what, where, what to do about it, and the exit code that it leads to. */
export function describeFailure(error: unknown, debug: boolean): { text: string; exit: number } {
  const lines: string[] = [];
  let exit: number;
  if (error instanceof CgesError) {
    exit = error.exitCode;
    lines.push(`error: ${error.message}`);
    const where = describePlace(error.place);
    if (where) lines.push(`  where: ${where}`);
    if (error.hint) lines.push(`  hint:  ${error.hint}`);
    lines.push(`  code:  ${error.code} (exit code ${exit})`);
  } else {
    exit = exitCodes.bug;
    lines.push(`error: this is a bug in cges-compress: ${messageOf(error)}`);
    if (!debug) lines.push('  hint:  run the same command with --debug and report what it prints');
    lines.push(`  code:  BUG (exit code ${exit})`);
  }
  if (debug) lines.push(...stacksOf(error));
  return { text: `${lines.join('\n')}\n`, exit };
}

function describePlace({ file, node, op, value }: Place): string {
  return [
    file,
    node !== undefined && `node ${node || '(without a name)'}${op ? ` (${op})` : ''}`,
    node === undefined && op && `operator ${op}`,
    value !== undefined && `value ${value}`,
  ]
    .filter(Boolean)
    .join(', ');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** The error's stack, and those of its causes. */
function stacksOf(error: unknown): string[] {
  const lines: string[] = [];
  for (let e = error; e !== undefined; e = e instanceof Error ? e.cause : undefined) {
    lines.push('', lines.length ? 'caused by:' : 'stack:', e instanceof Error ? (e.stack ?? e.message) : String(e));
  }
  return lines;
}
