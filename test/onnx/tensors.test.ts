import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Long from 'long';
import { describe, expect, test } from 'vitest';
import { chunksOf } from '../../src/onnx/external.js';
import { makeTensor } from '../../src/onnx/make.js';
import type { TensorProto } from '../../src/onnx/proto.js';
import { setTensor, tensorOf } from '../../src/onnx/tensors.js';
import { type DType, dtypeCodes, float32, type TensorData } from '../../src/tensor/tensor.js';
import { errorOf, testFolder } from './shared.js';

function proto(dtype: DType, dims: number[], contents: Partial<TensorProto>): TensorProto {
  const empty = makeTensor('t', { dtype, dims: [0], data: new Uint8Array() });
  delete empty.rawData;
  return { ...empty, dims, ...contents };
}

describe('contents in typed form', () => {
  const cases: [dtype: DType, dims: number[], contents: Partial<TensorProto>, expected: TensorData][] = [
    ['float32', [2], { floatData: [1.5, -2] }, Float32Array.of(1.5, -2)],
    ['complex64', [1], { floatData: [1, 2] }, Float32Array.of(1, 2)],
    ['float64', [1], { doubleData: [0.1] }, Float64Array.of(0.1)],
    ['complex128', [1], { doubleData: [0.1, 0.2] }, Float64Array.of(0.1, 0.2)],
    ['int64', [2], { int64Data: [Long.MIN_VALUE, 5] }, BigInt64Array.of(-(2n ** 63n), 5n)],
    ['uint64', [1], { uint64Data: [Long.MAX_UNSIGNED_VALUE] }, BigUint64Array.of(2n ** 64n - 1n)],
    ['uint32', [1], { uint64Data: [Long.fromNumber(2 ** 32 - 1, true)] }, Uint32Array.of(2 ** 32 - 1)],
    ['int32', [1], { int32Data: [-7] }, Int32Array.of(-7)],
    ['int16', [1], { int32Data: [-7] }, Int16Array.of(-7)],
    ['uint16', [1], { int32Data: [65535] }, Uint16Array.of(65535)],
    ['int8', [2], { int32Data: [-128, 127] }, Int8Array.of(-128, 127)],
    ['uint8', [1], { int32Data: [255] }, Uint8Array.of(255)],
    ['bool', [2], { int32Data: [1, 0] }, Uint8Array.of(1, 0)],
    ['float16', [1], { int32Data: [0x3c00] }, Uint16Array.of(0x3c00)],
    ['bfloat16', [1], { int32Data: [0xbf80] }, Uint16Array.of(0xbf80)],
    ['float8e5m2', [1], { int32Data: [0x9c] }, Uint8Array.of(0x9c)],
    ['int4', [3], { int32Data: [0xf1, 0x02] }, Uint8Array.of(0xf1, 0x02)],
    ['string', [2], { stringData: [new TextEncoder().encode('ä'), new Uint8Array()] }, ['ä', '']],
    ['float32', [0, 3], {}, new Float32Array()],
  ];
  test.each(cases)('%s%j is read', (dtype, dims, contents, expected) => {
    const tensor = tensorOf(proto(dtype, dims, contents));
    expect(tensor).toEqual({ dtype, dims, data: expected });
  });

  test.each(Object.keys(dtypeCodes) as DType[])('%s comes back from raw form', (dtype) => {
    const data =
      dtype === 'string' ? ['a', 'b', 'c', 'd'] : tensorOf(proto(dtype, [4], { rawData: rawFor(dtype, 4) })).data;
    expect(tensorOf(makeTensor('t', { dtype, dims: [4], data }))).toEqual({ dtype, dims: [4], data });
  });
});

function rawFor(dtype: DType, count: number): Uint8Array {
  const width: Partial<Record<DType, number>> = {
    float64: 8,
    int64: 8,
    uint64: 8,
    complex64: 8,
    complex128: 16,
    int4: 0.5,
    uint4: 0.5,
    float4e2m1: 0.5,
  };
  const four: DType[] = ['float32', 'int32', 'uint32'];
  const two: DType[] = ['float16', 'bfloat16', 'int16', 'uint16'];
  const bytes = width[dtype] ?? (four.includes(dtype) ? 4 : two.includes(dtype) ? 2 : 1);
  return Uint8Array.from({ length: bytes * count }, (_, i) => i % 7);
}

describe('views', () => {
  test('aligned bytes are viewed, misaligned ones copied', () => {
    const file = new Uint8Array(64);
    const values = Float32Array.of(1, 2, 3);
    for (const offset of [4, 5, 6, 7, 8]) {
      file.set(new Uint8Array(values.buffer), offset);
      const { data } = tensorOf(proto('float32', [3], { rawData: file.subarray(offset, offset + 12) }));
      expect(data).toEqual(values);
      expect(!Array.isArray(data) && data.buffer === file.buffer).toBe(offset % 4 === 0);
    }
  });

  test('wrong sizes, impossible shapes and unknown types are refused', async () => {
    const wrong = [
      proto('float32', [3], { rawData: new Uint8Array(11) }),
      proto('float32', [3], { floatData: [1, 2] }),
      proto('float32', [-1], { floatData: [] }),
      proto('string', [3], { stringData: [] }),
      { ...proto('float32', [1], { rawData: new Uint8Array(4) }), dataType: 99 },
    ];
    for (const p of wrong) {
      const error = await errorOf(() => tensorOf(p));
      expect(error.code).toBe('MODEL_INVALID');
      expect(error.place.value).toBe('t');
    }
  });

  test('new contents replace old ones in any form, and keep the name', () => {
    const p = proto('float16', [2], {
      int32Data: [1, 2],
      docString: 'doc',
      dataLocation: 1,
      externalData: [{ key: 'location', value: 'f' }],
    });
    setTensor(p, float32([3], [1, 2, 3]));
    expect(tensorOf(p)).toEqual(float32([3], [1, 2, 3]));
    expect([p.name, p.docString, p.int32Data.length, p.externalData.length, p.dataLocation]).toEqual([
      't',
      'doc',
      0,
      0,
      undefined,
    ]);
  });
});

describe('external data', () => {
  const external = (entries: Record<string, string>, dims = [2]) =>
    proto('float32', dims, {
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    });

  test('is read by its range', () => {
    const folder = testFolder();
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'w.bin'), new Uint8Array(Float32Array.of(0, 1, 2, 3).buffer));
    const read = (entries: Record<string, string>, dims?: number[]) => tensorOf(external(entries, dims), folder).data;
    expect(read({ location: 'sub/w.bin', offset: '4', length: '8' })).toEqual(Float32Array.of(1, 2));
    expect(read({ location: 'sub/w.bin' })).toEqual(Float32Array.of(0, 1));
    expect(read({ location: 'sub/../sub/w.bin', offset: '8' })).toEqual(Float32Array.of(2, 3));
    expect(read({ location: './sub/w.bin', offset: '16', length: '0' }, [0])).toEqual(new Float32Array());
  });

  test('is read piece by piece, however far into the file it lies', () => {
    const path = join(testFolder(), 'big.bin');
    const file = openSync(path, 'w');
    const offset = 5 * 2 ** 30; // a hole in the file: no such space is used
    ftruncateSync(file, offset);
    writeSync(
      file,
      Uint8Array.from({ length: 10 }, (_, i) => i),
      0,
      10,
      offset,
    );
    closeSync(file);
    const seen = [...chunksOf({ path, offset: offset + 1, length: 8, tensor: 't' }, 3)].map((c) => c.length);
    expect(seen).toEqual([3, 3, 2]);
    const chunks = chunksOf({ path, offset: offset + 1, length: 8, tensor: 't' }, 3);
    expect(Array.from(chunks, (c) => [...c])).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
  });

  test('that leaves the folder is refused, by name or through a link', async () => {
    const folder = testFolder();
    const home = join(folder, 'model');
    mkdirSync(home);
    writeFileSync(join(folder, 'secret'), new Uint8Array(8));
    writeFileSync(join(home, '..data'), new Uint8Array(8));
    const locations = [
      '../secret',
      'x/../../secret',
      '..\\secret',
      join(folder, 'secret'),
      'C:\\secret',
      'C:secret',
      '\\\\host\\share\\secret',
      '/etc/hostname',
    ];
    if (process.platform !== 'win32') {
      symlinkSync(join(folder, 'secret'), join(home, 'link'));
      symlinkSync(folder, join(home, 'dir'));
      locations.push('link', 'dir/secret');
    }
    for (const location of locations) {
      const error = await errorOf(() => tensorOf(external({ location }), home));
      expect(error.code, location).toBe('MODEL_EXTERNAL_DATA');
      expect(error.message, location).toMatch(/outside/);
    }
    expect(tensorOf(external({ location: '..data' }), home).data).toHaveLength(2);
  });

  test('that is missing, too short, of another size or not readable is refused', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'w.bin'), new Uint8Array(12));
    mkdirSync(join(folder, 'sub'));
    const wrong: [entries: Record<string, string>, says: RegExp][] = [
      [{ location: 'none.bin' }, /missing/],
      [{ location: 'w.bin', offset: '8' }, /ends at 12/],
      [{ location: 'w.bin', length: '4' }, /4 bytes of external data/],
      [{ location: 'w.bin', offset: '-4' }, /no number/],
      [{ location: 'w.bin', offset: '1e1' }, /no number/],
      [{ location: 'sub' }, /./],
      [{}, /names no file/],
    ];
    for (const [entries, says] of wrong) {
      const error = await errorOf(() => tensorOf(external(entries), folder));
      expect(error.code).toBe('MODEL_EXTERNAL_DATA');
      expect(error.message).toMatch(says);
    }
    expect((await errorOf(() => tensorOf(external({ location: 'w.bin' })))).message).toMatch(/came as bytes/);
  });
});
