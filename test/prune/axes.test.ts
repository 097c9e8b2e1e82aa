import { expect, test } from 'vitest';
import { weightAxes } from '../../src/prune/axes.js';
import { channelsOf } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { analyse } from '../../src/shape/analyse.js';
import { TinyNet } from './net.js';

test('every axis of a weight tells what goes, with which units, and what pins the rest', async () => {
  const net = new TinyNet();
  net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3])], 'h', { pads: [1, 1, 1, 1] });
  net.node('Conv', ['h', net.weight('w2', [6, 2, 1, 1])], 'g', { group: 2 });
  net.node('Flatten', ['g'], 'f');
  net.node('Gemm', ['f', net.weight('w3', [5, 24])], 'y', { transB: 1 });
  const analysis = await analyse(net.file(['N', 3, 2, 2], ['N', 5]));
  const channels = channelsOf(analysis);
  const where = { model: analysis.file.model, closed: analysis.bodies.closed };
  const shown = weightAxes(channels, unitsOf(channels), where).map((a) => ({
    at: `${a.weight}.${a.axis}`,
    goes: `${a.removable} of ${a.shape[a.axis]} in ${a.units}, by groups ${a.blockwise}`,
    families: a.families,
    pins: a.pinned.map((p) => `${p.count}: ${p.by.why}`),
  }));
  const places = ['3: it counts positions, not channels'];
  expect(shown).toEqual([
    { at: 'w1.0', goes: '4 of 4 in 4, by groups 0', families: ['h/Conv'], pins: [] },
    { at: 'w1.1', goes: '0 of 3 in 0, by groups 0', families: [], pins: ['3: it is an input of the model'] },
    { at: 'w1.2', goes: '0 of 3 in 0, by groups 0', families: [], pins: places },
    { at: 'w1.3', goes: '0 of 3 in 0, by groups 0', families: [], pins: places },
    { at: 'w2.0', goes: '6 of 6 in 6, by groups 0', families: ['g/Conv'], pins: [] },
    { at: 'w2.1', goes: '0 of 2 in 0, by groups 2', families: [], pins: [] },
    { at: 'w3.0', goes: '0 of 5 in 0, by groups 0', families: [], pins: ['5: it is an output of the model'] },
    { at: 'w3.1', goes: '24 of 24 in 6, by groups 0', families: ['g/Conv'], pins: [] },
  ]);
});
