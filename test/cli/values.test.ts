import { describe, expect, it } from 'vitest';
import {
  column,
  duration,
  numberList,
  patterns,
  positiveInteger,
  positiveNumber,
  scaleNumber,
  seedNumber,
  shape,
  upToHalf,
} from '../../cli/values.js';

describe('values of options', () => {
  it.each([
    [duration, '90s', 90],
    [duration, '20m', 1200],
    [duration, '1h', 3600],
    [duration, '1h30m', 5400],
    [duration, '1.5h', 5400],
    [numberList, '0.485,0.456,0.406', [0.485, 0.456, 0.406]],
    [numberList, '-1, 2e-3', [-1, 0.002]],
    [scaleNumber, '1/255', 1 / 255],
    [scaleNumber, '0.5', 0.5],
    [positiveInteger, '12', 12],
    [positiveNumber, '3e-4', 3e-4],
    [upToHalf, '0', 0],
    [seedNumber, '4294967295', 4294967295],
    [column, 'species', 'species'],
    [column, '-1', -1],
    [patterns, 'head.*,*.bias', ['head.*', '*.bias']],
    [shape, '1,3,224,224', [1, 3, 224, 224]],
    [shape, '1x80x3000', [1, 80, 3000]],
    [shape, 'model:image:1,3,8,8', { 'model:image': [1, 3, 8, 8] }],
  ] as const)('%o reads %s', (parse, text, value) => {
    expect((parse as (text: string) => unknown)(text)).toEqual(value);
  });

  it.each([
    [duration, '20'],
    [duration, '0s'],
    [duration, 'soon'],
    [duration, ''],
    [numberList, '1,,2'],
    [numberList, ''],
    [scaleNumber, '0'],
    [scaleNumber, '1/0'],
    [positiveInteger, '0'],
    [positiveInteger, '1.5'],
    [positiveInteger, '1e3'],
    [positiveNumber, 'Infinity'],
    [positiveNumber, '-1'],
    [upToHalf, '0.6'],
    [seedNumber, '-1'],
    [seedNumber, '4294967296'],
    [column, ' '],
    [patterns, 'a,,b'],
    [shape, '1,0,3'],
    [shape, '1,x,3'],
    [shape, ':1,3'],
  ] as const)('%o refuses %s', (parse, text) => {
    expect(() => (parse as (text: string) => unknown)(text)).toThrow(/expected|must|would/);
  });

  it('collects shapes by name, and refuses a second one without', () => {
    expect(shape('b:2,2', shape('a:1,1'))).toEqual({ a: [1, 1], b: [2, 2] });
    expect(() => shape('2,2', shape('1,1'))).toThrow('names');
    expect(() => shape('b:2,2', shape('1,1'))).toThrow('names');
  });
});
