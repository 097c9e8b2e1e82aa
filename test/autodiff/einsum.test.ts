import { expect, test } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { errorOf } from '../onnx/shared.js';
import { checkGradients, drawn } from './gradientCheck.js';

test('an axis that broadcasts through Einsum gets the sum of its gradients', async () => {
  const { slopes } = await checkGradients({
    nodes: [makeNode('Einsum', ['a', 'b'], ['y'], { equation: '...ij,...jk->...ik' })],
    feeds: { a: drawn([2, 1, 3, 4], 1), b: drawn([1, 3, 4, 2], 2) },
    outputs: ['y'],
  });
  expect(slopes).toHaveLength(2);
  for (const { name, numeric, analytic, scale } of slopes) {
    expect(Math.abs(numeric - analytic) / scale, name).toBeLessThan(1e-4);
  }
});

test('a letter that one operand alone sums over spreads its gradient', async () => {
  const { slopes } = await checkGradients({
    nodes: [makeNode('Einsum', ['a', 'b'], ['y'], { equation: 'bij,jk->bk' })],
    feeds: { a: drawn([2, 3, 4], 1), b: drawn([4, 5], 2) },
    outputs: ['y'],
  });
  for (const { name, numeric, analytic, scale } of slopes) {
    expect(Math.abs(numeric - analytic) / scale, name).toBeLessThan(1e-4);
  }
});

test('a diagonal has no gradient, and says so', async () => {
  const net = {
    nodes: [makeNode('Einsum', ['a'], ['y'], { equation: 'bii->bi' }, { name: 'diagonal' })],
    feeds: { a: drawn([2, 3, 3], 1) },
    outputs: ['y'],
  };
  expect(await errorOf(() => checkGradients(net))).toMatchObject({
    code: 'NO_GRADIENT',
    message: 'Einsum diagonal has no gradient in this form: it takes a diagonal',
  });
});
