import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { OpenOptions } from '../../src/data/dataset.js';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { file, folder } from './files.js';
import { refuses } from './refusal.js';

async function open(text: string, options: OpenOptions = {}) {
  const found = await openData(await file('x.csv', text), options);
  const [part] = found.train.sample;
  const shape = part.kind === 'tensor' ? part.shape : [];
  const all = Array.from({ length: found.train.length }, (_, i) => i);
  const batch = await prepare(found.train, [{ name: 'x', dtype: 'float32', shape }]).gather(all);
  return {
    ...found,
    features: [...batch.inputs.x.data],
    labels: [...(found.train.labels ?? [])],
    targets: batch.targets,
  };
}

describe('CSV', () => {
  it('takes a column of class numbers for the label, first or last', async () => {
    const first = await open('0,0.5,1.5\n1,0.25,2\n2,3,4\n');
    expect(first.labels).toEqual([0, 1, 2]);
    expect(first.features).toEqual([0.5, 1.5, 0.25, 2, 3, 4]);
    expect(first.choices.join()).toMatch(/column 0 .* label: it holds 3 whole numbers/);
    expect((await open('0.5,1.5,0\n0.25,2,1\n3,4,1\n')).labels).toEqual([0, 1, 1]);
  });

  it('reads a header, quotes, other separators and byte order marks', async () => {
    const found = await open('\ufeff"a, b";class;c\n1;"yes, sir";2\n3;no;4\n5;no;6\n');
    expect(found.train.target).toEqual({ kind: 'class', classes: 2, names: ['no', 'yes, sir'] });
    expect(found.labels).toEqual([1, 0, 0]);
    expect(found.features).toEqual([1, 2, 3, 4, 5, 6]);
    expect(found.choices.join('\n')).toMatch(
      /first row .* names its columns\n.*"class" .* its name says so\n.*no = 0, yes, sir = 1/,
    );
  });

  it('leaves out a column that counts the rows', async () => {
    expect((await open(',a,y\n0,1.5,1\n1,2.5,0\n2,3.5,1\n')).features).toEqual([1.5, 2.5, 3.5]);
  });

  it('finds the label column that is named, by number from either end', async () => {
    const text = 'a,b,c\n1,0,5.5\n2,1,6.5\n3,0,7.5\n';
    expect((await open(text, { labelColumn: 'b' })).labels).toEqual([0, 1, 0]);
    expect((await open(text, { labelColumn: -2 })).labels).toEqual([0, 1, 0]);
    expect((await open(text, { labelColumn: '1' })).features).toEqual([1, 5.5, 2, 6.5, 3, 7.5]);
    await refuses(open(text, { labelColumn: 'z' }), 'DATA_LABELS', /no column "z"/);
  });

  it('makes numbers that are no classes a target to regress', async () => {
    const found = await open('1,2,0.5\n3,4,1.5\n5,6,-2\n');
    expect(found.train.target).toEqual({ kind: 'values', shape: [1] });
    expect(found.targets).toMatchObject({ dtype: 'float32', dims: [3, 1] });
    expect([...found.targets!.data]).toEqual([0.5, 1.5, -2]);
    expect((await open('1,2,0\n3,4,1\n5,6,1\n', { target: 'values' })).targets?.dtype).toBe('float32');
  });

  it('reads signed labels as classes, and many classes as numbers where the model has one output', async () => {
    const signed = await open('0.5,2.5,-1\n3,4,1\n5,6.5,1\n');
    expect([signed.labels, signed.train.target]).toEqual([
      [0, 1, 1],
      { kind: 'class', classes: 2, names: ['-1', '1'] },
    ]);
    expect(signed.choices.join()).toMatch(/-1 = 0, 1 = 1/);
    const ages = '0.5,1\n1.5,2\n2.5,0\n3.5,2\n';
    expect((await open(ages)).labels).toEqual([1, 2, 0, 2]);
    expect((await open(ages, { classes: 1 })).targets?.dtype).toBe('float32');
    expect((await open('0.5,1\n1.5,0\n', { classes: 1 })).labels).toEqual([1, 0]);
  });

  it('takes no label where the model takes every column', async () => {
    const found = await open('1,2,0\n3,4,1\n5,6,1\n', { features: 3 });
    expect(found.train.target).toBeUndefined();
    expect(found.features.length).toBe(9);
  });

  it('reads gzipped files, and train and test with the same class numbers', async () => {
    expect((await openData(await file('x.csv.gz', gzipSync('0,0.5\n1,1.5\n')))).train.length).toBe(2);
    const at = await folder();
    await writeFile(join(at, 'train.csv'), 'a,label\n1,cat\n2,dog\n3,ant\n');
    await writeFile(join(at, 'test.csv'), 'a,label\n1,dog\n');
    const { test } = await openData(at);
    expect([...test!.labels!]).toEqual([2]);
    await writeFile(join(at, 'test.csv'), 'a,label\n1,cow\n');
    await refuses(openData(at), 'DATA_LABELS', /row 2 has the label "cow"/);
  });

  it('takes class names from the file beside it', async () => {
    const at = await folder();
    await writeFile(join(at, 'k.csv'), '0,0.5\n1,1.5\n');
    await writeFile(join(at, 'k_labels.csv'), '\ufeffOpen\r\nClose\r\n');
    expect((await openData(at)).train.target).toMatchObject({ names: ['Open', 'Close'] });
  });

  it('says which cell is wrong', async () => {
    await refuses(open('a,b,y\n1,2,0\n1,x,1\n1,2,0\n'), 'DATA_INVALID', /row 3, column "b": "x" is not a number/);
    await refuses(open('1,2,0\n1,,1\n'), 'DATA_INVALID', /row 2, column 1 holds nothing/);
    await refuses(open('1,2,0\n1,NaN,1\n'), 'DATA_INVALID', /row 2, column 1 holds NaN/);
    await refuses(open('1,2,0\n1,-inf,1\n'), 'DATA_INVALID', /row 2, column 1 holds -inf/);
    await refuses(open('1,2,0\n1,1\n'), 'DATA_INVALID', /row 2 has 2 cells, the first one has 3/);
    await refuses(open('a,b,label\n'), 'DATA_INVALID', /a header and no rows/);
    await refuses(open('1,"2,0\n1,1\n'), 'DATA_INVALID', /cannot be read/);
  });
});
