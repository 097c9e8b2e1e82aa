import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { allSpecs, supportTable } from '../../src/ops/index.js';
import { supportMarkdown, supportSummary, supportText } from '../../src/report/support.js';

const readme = new URL('../../README.md', import.meta.url);
const table = [
  { op: 'Conv', domain: '', opsets: '7–21', gradient: 'yes', channels: 'yes', macs: true },
  { op: 'Round', domain: '', opsets: '11–21', gradient: 'it is a|b', channels: 'yes', macs: false },
  { op: 'Size', domain: 'com.microsoft', opsets: '1', gradient: 'yes', channels: 'pins: it counts', macs: false },
];

describe('the table of known operators', () => {
  it('has a line per operator, and what is refused with the reason', () => {
    expect(supportText(table)).toBe(
      [
        'operator                                  opsets  gradient  channels  costs',
        'Conv                                      7–21    yes       yes       MACs',
        'Round                                     11–21   no        yes',
        '    no gradient: it is a|b',
        'com.microsoft.Size                        1       yes       pins',
        '    channels stay: it counts',
        '',
        '3 operators: 2 with a gradient, 2 whose channels can be removed.',
        '',
      ].join('\n'),
    );
    expect(supportMarkdown(table).split('\n')).toEqual([
      '| operator | domain | opsets | gradient | channels | MACs |',
      '|---|---|---|---|---|---|',
      '| Conv | ai.onnx | 7–21 | yes | yes | counted |',
      '| Round | ai.onnx | 11–21 | no: it is a\\|b | yes |  |',
      '| Size | com.microsoft | 1 | yes | pins: it counts |  |',
      '',
    ]);
  });

  it('holds every operator, and fits into 80 columns', () => {
    const all = supportTable();
    expect(all.map((s) => s.op)).toEqual(allSpecs().map((s) => s.op));
    for (const [i, spec] of allSpecs().entries()) {
      expect(all[i].gradient).toBe('refused' in spec.grad && !spec.normalise ? spec.grad.refused : 'yes');
    }
    const widest = supportText(all)
      .split('\n')
      .reduce((a, b) => (b.length > a.length ? b : a));
    expect(widest.length, widest).toBeLessThanOrEqual(80);
  });

  // `npx vitest run test/report/support.test.ts -u` brings the README up to date.
  it('is what the README says', async () => {
    const text = await readFile(readme, 'utf8');
    const [before, rest] = text.split('<!-- operators -->\n');
    const after = rest.slice(rest.indexOf('<!-- /operators -->'));
    const expected = `${before}<!-- operators -->\n${supportSummary(supportTable())}${after}`;
    await expect(expected).toMatchFileSnapshot(readme.pathname);
  });
});
