import { describe, expect, test } from 'vitest';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  fromFloat32,
  isFloat,
  toFloat32,
} from '../../src/tensor/half.js';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.js';

const all = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

describe('float16', () => {
  test('known patterns', () => {
    const bits = Uint16Array.of(0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x3555);
    const expected = Float32Array.of(
      0,
      -0,
      1,
      -2,
      65504,
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      Infinity,
      -Infinity,
      0.333251953125,
    );
    expect(float16ToFloat32(bits)).toEqual(expected);
    expect(float32ToFloat16(expected)).toEqual(bits);
  });

  test('every number comes back from float32', () => {
    const values = float16ToFloat32(all);
    const back = float32ToFloat16(values);
    for (const i of all) {
      if (Number.isNaN(values[i])) expect(back[i] & 0x7fff).toBeGreaterThan(0x7c00);
      else expect(back[i]).toBe(i);
    }
  });

  test('rounds to nearest, ties to even', () => {
    const values = [
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      1 + 2 ** -11 + 2 ** -20,
      65519,
      65520,
      -1e30,
      2 ** -25,
      1.5 * 2 ** -24,
      2 ** -25 * 1.01,
      2 ** -14 - 2 ** -26,
    ];
    const expected = [0x3c00, 0x3c02, 0x3c01, 0x7bff, 0x7c00, 0xfc00, 0, 2, 1, 0x0400];
    expect([...float32ToFloat16(Float32Array.from(values))]).toEqual(expected);
  });
});

describe('bfloat16', () => {
  test('every number comes back from float32', () => {
    const values = bfloat16ToFloat32(all);
    const back = float32ToBfloat16(values);
    for (const i of all) {
      if (Number.isNaN(values[i])) expect(back[i] & 0x7fff).toBeGreaterThan(0x7f80);
      else expect(back[i]).toBe(i);
    }
  });

  test('rounds to nearest, ties to even', () => {
    const values = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8 + 2 ** -20), 3.4e38, Number.NaN];
    expect([...float32ToBfloat16(Float32Array.from(values))]).toEqual([0x3f80, 0x3f80, 0x3f82, 0xbf81, 0x7f80, 0x7fc0]);
  });
});

describe('tensors', () => {
  test('become float32 from every plain number type', () => {
    const tensors: Tensor[] = [
      { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0x4000) },
      { dtype: 'bfloat16', dims: [2], data: Uint16Array.of(0x3f80, 0x4000) },
      { dtype: 'float64', dims: [2], data: Float64Array.of(1, 2) },
      { dtype: 'uint16', dims: [2], data: Uint16Array.of(1, 2) },
      { dtype: 'int8', dims: [2], data: Int8Array.of(1, 2) },
      int64([2], [1, 2]),
    ];
    for (const t of tensors) expect(toFloat32(t), t.dtype).toEqual(float32([2], [1, 2]));
    const same = float32([2], [1, 2]);
    expect(toFloat32(same).data).toBe(same.data);
  });

  test('that hold no plain numbers are refused', () => {
    const tensors: Tensor[] = [
      { dtype: 'string', dims: [1], data: ['1'] },
      { dtype: 'int4', dims: [2], data: Uint8Array.of(1) },
      { dtype: 'complex64', dims: [1], data: Float32Array.of(1, 0) },
    ];
    for (const t of tensors) expect(() => toFloat32(t)).toThrow(TypeError);
  });

  test('go back to the type that they came from', () => {
    for (const dtype of ['float16', 'bfloat16', 'float64', 'float32'] as const) {
      expect(isFloat(dtype)).toBe(true);
      const tensor = fromFloat32([2], Float32Array.of(0.5, -3), dtype);
      expect(tensor.dtype).toBe(dtype);
      expect(toFloat32(tensor)).toEqual(float32([2], [0.5, -3]));
    }
    expect(isFloat('int64')).toBe(false);
    expect(() => fromFloat32([3], new Float32Array(2), 'float16')).toThrow(TypeError);
  });
});
