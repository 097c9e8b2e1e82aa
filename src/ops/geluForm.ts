import type { Formula } from './formula.js';

/** Emits y = x·Φ(x) with Φ(x) = ½(1 + erf(x/√2)). */
export function exactGelu(formula: Formula, x: string, output: string): void {
  gated(formula, x, formula.apply('Erf', [formula.apply('Mul', [x, formula.scalar(Math.SQRT1_2)])]), output);
}

/** Emits y = ½·x·(1 + tanh(√(2/π)(x + 0.044715·x³))). */
export function tanhGelu(formula: Formula, x: string, output: string): void {
  const square = formula.apply('Mul', [x, x]);
  const factor = formula.apply('Add', [formula.apply('Mul', [square, formula.scalar(0.044715)]), formula.scalar(1)]);
  const inner = formula.apply('Mul', [formula.apply('Mul', [x, factor]), formula.scalar(Math.sqrt(2 / Math.PI))]);
  gated(formula, x, formula.apply('Tanh', [inner]), output);
}

function gated(formula: Formula, x: string, t: string, output: string): void {
  const phi = formula.apply('Mul', [formula.apply('Add', [t, formula.scalar(1)]), formula.scalar(0.5)]);
  formula.apply('Mul', [x, phi], {}, output);
}
