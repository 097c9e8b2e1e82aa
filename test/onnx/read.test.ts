import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { errorOf, smallModel, testFolder } from './shared.js';

const text = (s: string) => new TextEncoder().encode(s);

describe('what is no model', () => {
  const cases: [title: string, bytes: Uint8Array, says: RegExp][] = [
    ['an empty file', new Uint8Array(), /empty/],
    ['a PNG image', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13), /PNG/],
    ['a text file', text('The quick brown fox jumps over the lazy dog.\n'.repeat(20)), /not an ONNX/],
    ['a JSON file', text('{"graph": {"node": []}}'), /not an ONNX/],
    ['a CSV file', text('a,b,c\n1,2,3\n4,5,6\n'), /not an ONNX/],
    ['a text file that begins like a record', text(':B:B:B:B:B:B:B'), /not an ONNX/],
    ['a Git LFS pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a'), /Git LFS/],
    ['a web page', text('<!DOCTYPE html><html></html>'), /web page/],
    ['a PyTorch file', text('PK\x03\x04archive/data.pkl'), /ZIP/],
    ['zeros', new Uint8Array(1000), /not an ONNX/],
    [
      'random bytes',
      Uint8Array.from({ length: 5000 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255),
      /not an ONNX/,
    ],
    ['another message of protocol buffers', Uint8Array.of(8, 1, 18, 3, 97, 98, 99), /no graph/],
  ];
  test.each(cases)('%s is recognised', async (_title, bytes, says) => {
    const error = await errorOf(() => decodeModel(bytes, 'some/file.onnx'));
    expect(error.code).toBe<ErrorCode>('MODEL_NOT_ONNX');
    expect(error.message).toMatch(says);
    expect(error.place.file).toBe('some/file.onnx');
    expect(error.hint).toBeTruthy();
  });

  test('a missing file, a folder and a model without nodes are named', async () => {
    const folder = testFolder();
    expect((await errorOf(() => readModel(join(folder, 'none.onnx')))).code).toBe('MODEL_NOT_FOUND');
    mkdirSync(join(folder, 'dir.onnx'));
    expect((await errorOf(() => readModel(join(folder, 'dir.onnx')))).code).toBe('MODEL_NOT_ONNX');
    const model = smallModel();
    model.graph.node = [];
    expect((await errorOf(() => decodeModel(encodeModel(model)))).message).toMatch(/no nodes/);
  });
});

test('a model that is cut off anywhere never passes, and is called cut off where its graph had begun', async () => {
  const whole = encodeModel(smallModel());
  expect(decodeModel(whole).model.graph.node).toHaveLength(1);
  for (let length = 1; length < whole.length; length++) {
    const error = await errorOf(() => decodeModel(whole.subarray(0, length)));
    expect(['MODEL_NOT_ONNX', 'MODEL_TRUNCATED'], `cut at ${length}`).toContain(error.code);
    if (length > 20) expect(error.code, `cut at ${length}`).toBe('MODEL_TRUNCATED');
  }
});

test('any IR version and any number of operator sets are read', async () => {
  const folder = testFolder();
  for (const ir of [3, 4, 8, 13, 50]) {
    const model = smallModel();
    model.irVersion = ir;
    model.opsetImport.push({ domain: 'my.domain', version: 3 });
    const path = join(folder, `ir${ir}.onnx`);
    writeFileSync(path, encodeModel(model));
    const file = readModel(path);
    expect(Number(file.model.irVersion)).toBe(ir);
    expect(file.folder).toBe(folder);
    expect(file.path).toBe(path);
  }
});

test('an impossible operator set is refused', async () => {
  const model = smallModel();
  model.opsetImport[0].version = -3;
  expect((await errorOf(() => decodeModel(encodeModel(model)))).code).toBe('MODEL_INVALID');
});

test('a file beyond the 2 GiB of a message is refused before it is read', async () => {
  const path = join(testFolder(), 'huge.onnx');
  const file = openSync(path, 'w');
  ftruncateSync(file, 2 ** 31); // a hole: no such space is used
  closeSync(file);
  const error = await errorOf(() => readModel(path));
  expect(error.code).toBe('MODEL_INVALID');
  expect(error.hint).toMatch(/external data/);
});
