import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatChange,
  formatCount,
  formatGain,
  formatInteger,
  formatMetric,
  formatMs,
  formatPercent,
  formatSeconds,
} from '../../src/report/format.js';

describe('figures are written as people read them', () => {
  it.each([
    [0, '0'],
    [512, '512'],
    [999, '999'],
    [999.7, '1.00 k'],
    [1000, '1.00 k'],
    [11_683, '11.7 k'],
    [999_499, '999 k'],
    [999_600, '1.00 M'],
    [3_274_634, '3.27 M'],
    [40_500_000, '40.5 M'],
    [1.5e9, '1.50 G'],
  ])('count %d', (n, text) => expect(formatCount(n)).toBe(text));

  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [46_732, '46.7 kB'],
    [13_098_536, '13.1 MB'],
  ])('%d bytes', (n, text) => expect(formatBytes(n)).toBe(text));

  it.each([
    [0, '0 ms'],
    [0.045, '45.0 µs'],
    [0.25, '0.250 ms'],
    [1.234, '1.23 ms'],
    [310, '310 ms'],
    [2500, '2.50 s'],
  ])('%d ms', (n, text) => expect(formatMs(n)).toBe(text));

  it.each([
    [0.2, '0 s'],
    [59.4, '59 s'],
    [150, '2 min 30 s'],
    [3599.6, '1 h 00 min'],
    [3900, '1 h 05 min'],
  ])('%d seconds', (n, text) => expect(formatSeconds(n)).toBe(text));

  it('writes shares as percentages and their changes in points', () => {
    expect(formatPercent(0.98765)).toBe('98.77 %');
    expect(formatMetric('accuracy', 0.5)).toBe('50.00 %');
    expect(formatMetric('mean-squared-error', 0.01234)).toBe('0.0123');
    expect(formatChange('accuracy', 0.99, 0.9875)).toBe('−0.25 points');
    expect(formatChange('accuracy', 0.99, 0.99)).toBe('±0.00 points');
    expect(formatChange('cross-entropy', 0.5, 0.75)).toBe('+0.250');
  });

  it('says how many times less or more, where that means something', () => {
    expect(formatGain(3_274_634, 11_683, 'fewer', 'more')).toBe('280× fewer');
    expect(formatGain(1, 1.15, 'faster', 'slower')).toBe('1.15× slower');
    expect(formatGain(7, 7, 'fewer', 'more')).toBe('same');
    expect(formatGain(0, 0, 'fewer', 'more')).toBe('same');
    expect(formatGain(5, 0, 'fewer', 'more')).toBe('—');
  });

  it('sets thousands apart', () => expect(formatInteger(1234567)).toBe('1,234,567'));
});
