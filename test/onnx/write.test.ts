import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkWritable, renameOver, writeAtomically, writeTogether } from '../../src/onnx/atomic.js';
import { makeNode, makeTensor } from '../../src/onnx/make.js';
import { readModel } from '../../src/onnx/read.js';
import { setTensor, tensorOf } from '../../src/onnx/tensors.js';
import { encodeModel, inlineModel, writeModel } from '../../src/onnx/write.js';
import { openSession } from '../../src/runtime/session.js';
import { float32 } from '../../src/tensor/tensor.js';
import { errorOf, smallModel, testFolder } from './shared.js';

/** A failed call of the operating system. */
const failure = (code: string) => Object.assign(new Error(code), { code });

async function outputs(path: string): Promise<unknown> {
  const session = await openSession(path, { threads: { intraOp: 1 } });
  const x = float32(
    [1, 32],
    Array.from({ length: 32 }, (_, i) => i),
  );
  const { y } = await session.run({ x });
  await session.close();
  return y.data;
}

describe('one file', () => {
  test('a small model is written inline, and nothing else stays in the folder', async () => {
    const folder = testFolder();
    const path = join(folder, 'out.onnx');
    const written = await writeModel(smallModel(), path);
    expect(written).toEqual({ path, bytes: statSync(path).size });
    expect(readFileSync(path)).toEqual(Buffer.from(encodeModel(smallModel())));
    expect(readdirSync(folder)).toEqual(['out.onnx']);
  });

  test('an existing file is replaced', async () => {
    const path = join(testFolder(), 'out.onnx');
    writeFileSync(path, 'old');
    await writeModel(smallModel(), path);
    expect(readModel(path).model.graph.node).toHaveLength(1);
  });
});

describe('external data', () => {
  test('is written beside a model that is too large for one file, small tensors stay', async () => {
    const folder = testFolder();
    const path = join(folder, 'out.onnx');
    const model = smallModel();
    const before = encodeModel(model);
    const written = await writeModel(model, path, { largestInline: 1000 });
    expect(encodeModel(model)).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(['out.onnx', 'out.onnx.data']);
    expect(written).toEqual({ path, dataPath: `${path}.data`, bytes: statSync(path).size + 2048 });
    const file = readModel(path);
    const [w, b] = file.model.graph.initializer;
    expect([w.dataLocation, b.dataLocation, w.rawData]).toEqual([1, undefined, undefined]);
    expect(tensorOf(w, file.folder)).toEqual(tensorOf(model.graph.initializer[0]));
    await writeModel(model, join(folder, 'inline.onnx'));
    expect(await outputs(path)).toEqual(await outputs(join(folder, 'inline.onnx')));
    expect(encodeModel(inlineModel(file.model, file.folder))).toEqual(Buffer.from(encodeModel(model)));
  });

  test('of a model that had it is written again, from the old file, in another folder and in place', async () => {
    const folder = testFolder();
    const first = join(folder, 'a.onnx');
    await writeModel(smallModel(), first, { externalData: 'always' });
    const file = readModel(first);
    file.model.graph.initializer[0].externalData.push({ key: 'checksum', value: '00' });
    mkdirSync(join(folder, 'sub'));
    const second = join(folder, 'sub', 'b.onnx');
    await writeModel(file.model, second, { folder: file.folder });
    expect(readModel(second).model.graph.initializer[0].externalData.map((e) => e.key)).toEqual([
      'location',
      'offset',
      'length',
    ]);
    expect(await outputs(second)).toEqual(await outputs(first));
    const expected = await outputs(first);
    await writeModel(file.model, first, { folder: file.folder });
    expect(await outputs(first)).toEqual(expected);
    expect(readdirSync(folder).sort()).toEqual(['a.onnx', 'a.onnx.data', 'sub']);
  });

  test('weights that were changed are written changed, and shared ranges once', async () => {
    const folder = testFolder();
    const path = join(folder, 'a.onnx');
    const model = smallModel();
    await writeModel(model, path, { externalData: 'always' });
    const file = readModel(path);
    const [w] = file.model.graph.initializer;
    file.model.graph.initializer.push({ ...w, name: 'same' });
    const next = await writeModel(file.model, join(folder, 'b.onnx'), { folder: file.folder });
    expect(statSync(next.dataPath ?? '').size).toBe(2048);
    setTensor(w, float32([32, 16], new Float32Array(512).fill(2)));
    await writeModel(file.model, join(folder, 'c.onnx'), { folder: file.folder });
    const again = readModel(join(folder, 'c.onnx'));
    expect(tensorOf(again.model.graph.initializer[0], folder).data).toEqual(new Float32Array(512).fill(2));
    expect(tensorOf(again.model.graph.initializer[2], folder)).toEqual(tensorOf(model.graph.initializer[0]));
  });

  test('typed weights move as bytes, strings and Constant nodes stay while there is room', async () => {
    const folder = testFolder();
    const path = join(folder, 'a.onnx');
    const model = smallModel();
    const [w] = model.graph.initializer;
    const values = Array.from(tensorOf(w).data as Float32Array);
    delete w.rawData;
    w.floatData = values;
    const strings = { dtype: 'string', dims: [300], data: new Array<string>(300).fill('label') } as const;
    model.graph.initializer.push(makeTensor('labels', strings));
    model.graph.node.push(
      makeNode('Constant', [], ['c'], { value: { tensor: makeTensor('', float32([512], values)) } }),
    );
    await writeModel(model, path, { largestInline: 6000 });
    const roomy = readModel(path).model;
    expect(roomy.graph.initializer.map((t) => t.dataLocation ?? 0)).toEqual([1, 0, 0]);
    expect(roomy.graph.node[1].attribute[0].t?.dataLocation).toBeUndefined();
    expect(tensorOf(roomy.graph.initializer[0], folder).data).toEqual(Float32Array.from(values));
    await writeModel(model, path, { largestInline: 1000 });
    expect(readModel(path).model.graph.node[1].attribute[0].t?.dataLocation).toBe(1);
    expect(await outputs(path)).toHaveLength(16);
  });
});

describe('errors leave nothing behind', () => {
  test('a folder that does not exist, a folder in place of the file', async () => {
    const folder = testFolder();
    mkdirSync(join(folder, 'dir.onnx'));
    writeFileSync(join(folder, 'file'), '');
    for (const name of ['none/out.onnx', 'dir.onnx', 'file/out.onnx', `${'x'.repeat(300)}.onnx`]) {
      const error = await errorOf(() => writeModel(smallModel(), join(folder, name)));
      expect(error.code, name).toBe('OUTPUT_UNWRITABLE');
      expect(error.hint, name).toBeTruthy();
      expect((await errorOf(() => checkWritable(join(folder, name)))).code, name).toBe('OUTPUT_UNWRITABLE');
    }
    await checkWritable(join(folder, 'fine.onnx'));
    expect(readdirSync(folder).sort()).toEqual(['dir.onnx', 'file']);
  });

  test('missing external data: the old files stay as they were', async () => {
    const folder = testFolder();
    const path = join(folder, 'out.onnx');
    await writeModel(smallModel(), path, { externalData: 'always' });
    const file = readModel(path);
    file.model.graph.initializer[0].externalData[0].value = 'none.bin';
    const before = readFileSync(path);
    const error = await errorOf(() => writeModel(file.model, path, { folder }));
    expect(error.code).toBe('MODEL_EXTERNAL_DATA');
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(['out.onnx', 'out.onnx.data']);
  });

  test('a file that stays locked: both files are the old ones', async () => {
    const folder = testFolder();
    const path = join(folder, 'out.onnx');
    writeFileSync(path, 'old model');
    writeFileSync(`${path}.data`, 'old data');
    const locked = (from: string, to: string) => (to === path ? Promise.reject(failure('EPERM')) : rename(from, to));
    const error = await errorOf(() => writeModel(smallModel(), path, { externalData: 'always', rename: locked }));
    expect(error.code).toBe('OUTPUT_UNWRITABLE');
    expect(error.message).toMatch(/access is denied/);
    expect(readFileSync(path, 'utf8')).toBe('old model');
    expect(readFileSync(`${path}.data`, 'utf8')).toBe('old data');
    expect(readdirSync(folder).sort()).toEqual(['out.onnx', 'out.onnx.data']);
  });

  test('a data file that was new is taken away again', async () => {
    const folder = testFolder();
    const path = join(folder, 'out.onnx');
    const locked = (from: string, to: string) => (to === path ? Promise.reject(failure('EBUSY')) : rename(from, to));
    await errorOf(() => writeModel(smallModel(), path, { externalData: 'always', rename: locked }));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a full disk while writing', async () => {
    const path = join(testFolder(), 'out.bin');
    const fill = () => Promise.reject(failure('ENOSPC'));
    expect((await errorOf(() => writeTogether([{ path, fill }]))).message).toMatch(/disk is full/);
    expect(existsSync(path)).toBe(false);
  });
});

test('a lock that passes is waited for, other failures are not', async () => {
  let calls = 0;
  const passing = async () => {
    calls++;
    if (calls < 3) throw failure('EBUSY');
  };
  await renameOver('a', 'b', passing, [1, 1, 1]);
  expect(calls).toBe(3);
  const gone = async () => {
    calls++;
    throw failure('ENOENT');
  };
  await expect(renameOver('a', 'b', gone, [1, 1, 1])).rejects.toThrow('ENOENT');
  expect(calls).toBe(4);
});

test('a file that is open elsewhere keeps its contents there', async () => {
  const path = join(testFolder(), 'f');
  await writeAtomically(path, new TextEncoder().encode('one'));
  const file = openSync(path, 'r+');
  await writeAtomically(path, new TextEncoder().encode('two'));
  writeSync(file, 'xxx');
  closeSync(file);
  expect(readFileSync(path, 'utf8')).toBe('two');
});
