import { expect, test } from 'vitest';
import type { Inspection } from '../../src/report/inspection.js';
import { inspectionPage } from '../../src/report/inspectionPage.js';

const axis = { shape: [8, 4], families: [], blockwise: 0, pinned: [] };
const inspection: Inspection = {
  schemaVersion: 1,
  command: 'inspect',
  path: '/models/net.onnx',
  opset: 17,
  producer: '<script>',
  params: 1234,
  macs: 5678,
  bytes: 5000,
  batch: 'any batch runs',
  inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 4] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 8] }],
  layers: [],
  families: [
    {
      name: 'first',
      units: 6,
      params: 30,
      macs: 24,
      makes: [{ weight: 'a & b', axis: 0 }],
      reads: [{ weight: 'next', axis: 1 }],
    },
  ],
  pinned: [],
  weights: [
    {
      ...axis,
      weight: 'a & b',
      axis: 0,
      removable: 6,
      units: 6,
      families: ['first'],
      pinned: [{ indices: 2, by: 'y', op: 'Add', why: 'it is "kept"' }],
    },
    { ...axis, weight: 'a & b', axis: 1, removable: 0, units: 0, blockwise: 4 },
  ],
  trained: [],
  notes: [],
};

test('the page draws every axis: what goes in the colour of its family, what stays with the reason', () => {
  const page = inspectionPage(inspection);
  expect(page).toContain('data-family="0"');
  expect(page).toMatch(/class="removable" style="flex:6;background:hsl/);
  expect(page).toMatch(/class="pinned" style="flex:2;" title="2 of 8 stay: it is &quot;kept&quot; \(y, Add\)"/);
  expect(page).toMatch(/class="grouped" style="flex:4;/);
  expect(page).toContain('axis 0: it is &quot;kept&quot; (y, Add)');
  expect(page).toContain('a &amp; b<small>[0]</small>');
});

test('names of the model are text there, and the page needs no other file', () => {
  const page = inspectionPage(inspection);
  expect(page).toContain('made by &lt;script&gt;');
  expect(page).not.toMatch(/(src|href)=/);
});
