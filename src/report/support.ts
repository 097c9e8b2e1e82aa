import type { Support } from '../ops/index.js';

/** @returns the table of known operators for a terminal, at most 80 columns wide; reasons stand below their line. */
export function supportText(table: readonly Support[]): string {
  const line = (...cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd([42, 8, 10, 10, 0][i]))
      .join('')
      .trimEnd();
  const rows = table.flatMap((s) => [
    line(titleOf(s), s.opsets, short(s.gradient), short(s.channels), s.macs ? 'MACs' : ''),
    ...(isYes(s.gradient) ? [] : [`    no gradient: ${s.gradient}`]),
    ...(isYes(s.channels) ? [] : [`    channels stay: ${reasonOf(s.channels)}`]),
  ]);
  const counted = (key: 'gradient' | 'channels') => table.filter((s) => isYes(s[key])).length;
  return [
    line('operator', 'opsets', 'gradient', 'channels', 'costs'),
    ...rows,
    '',
    `${table.length} operators: ${counted('gradient')} with a gradient, ${counted('channels')} whose channels can be removed.`,
    '',
  ].join('\n');
}

/** @returns the table of known operators in Markdown. */
export function supportMarkdown(table: readonly Support[]): string {
  const rows = table.map(
    (s) =>
      `| ${s.op} | ${s.domain || 'ai.onnx'} | ${s.opsets} | ${said(s.gradient)} | ${said(s.channels)} | ${s.macs ? 'counted' : ''} |`,
  );
  return ['| operator | domain | opsets | gradient | channels | MACs |', '|---|---|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

/** @returns the table in three lines of Markdown, by what is known. */
export function supportSummary(table: readonly Support[]): string {
  const names = (of: readonly Support[], why?: (s: Support) => string) =>
    of.map((s) => `\`${titleOf(s)}\`${why ? ` (${why(s)})` : ''}`).join(', ') || 'none';
  const both = table.filter((s) => isYes(s.gradient) && isYes(s.channels));
  const noGradient = table.filter((s) => !isYes(s.gradient));
  const noChannels = table.filter((s) => !isYes(s.channels));
  return [
    `- Gradients, and channels can be removed (${both.length}): ${names(both)}`,
    `- No gradient (${noGradient.length}): ${names(noGradient, (s) => s.gradient)}`,
    `- Channels stay (${noChannels.length}): ${names(noChannels, (s) => reasonOf(s.channels))}`,
    '',
  ].join('\n');
}

function titleOf({ op, domain }: Support): string {
  return domain ? `${domain}.${op}` : op;
}

function isYes(answer: string): boolean {
  return answer === 'yes';
}

function short(answer: string): string {
  if (isYes(answer)) return 'yes';
  return answer.startsWith('pins: ') ? 'pins' : 'no';
}

function reasonOf(answer: string): string {
  return answer.replace(/^pins: /, '');
}

/** A bar would end the cell. */
function said(answer: string): string {
  const text = isYes(answer) || answer.startsWith('pins: ') ? answer : `no: ${answer}`;
  return text.replaceAll('|', '\\|');
}
