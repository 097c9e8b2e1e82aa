import { describe, expect, it } from 'vitest';
import { clip, layersTable, metricNote, reportTable } from '../../src/report/table.js';
import { facts, report } from './facts.js';

const widest = (text: string) => Math.max(...text.split('\n').map((line) => [...line].length));

describe('the final table', () => {
  it('shows before, after strip, after recovery and what changed, in 80 columns', () => {
    const table = reportTable(report());
    expect(widest(table)).toBeLessThanOrEqual(80);
    expect(table).toMatchSnapshot();
  });

  it('shows two columns for a strip, and no metric without data', () => {
    const bare = facts({ metric: null });
    const table = reportTable(report({ command: 'strip', before: bare, afterStrip: bare, after: bare }));
    expect(table).not.toContain('accuracy');
    expect(table).not.toContain('recovery');
    expect(widest(table)).toBeLessThanOrEqual(80);
  });

  it('says what the metric was measured on', () => {
    expect(metricNote(facts(), null)).toBe('accuracy on 10,000 test samples');
    expect(metricNote(facts({ metric: null }), null)).toBe('');
  });
});

describe('the table of layers', () => {
  it('lists the layers that lost units', () => {
    expect(layersTable(report().layers)).toMatchSnapshot();
  });

  it('shows those that lost most where there are many', () => {
    const layers = Array.from({ length: 30 }, (_, i) => ({ family: `block${i}`, before: 100, after: 99 - i }));
    const text = layersTable(layers, 5);
    expect(text).toContain('block29');
    expect(text).not.toContain('block0 ');
    expect(text).toContain('and 25 more layers');
  });

  it('cuts long names in their middle', () => {
    expect(clip('features.stage4.block12.conv2', 13)).toBe('featur….conv2');
    expect(widest(layersTable([{ family: 'x'.repeat(200), before: 2, after: 1 }]))).toBeLessThanOrEqual(80);
  });
});
