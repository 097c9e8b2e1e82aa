import type { Attributes } from '../onnx/attributes.js';
import type { Formula } from './formula.js';

/** Functions that onnxruntime's fused operators apply to what they computed, with the names of their parameters. */
const functions: Readonly<Record<string, readonly string[]>> = {
  Elu: ['alpha'],
  HardSigmoid: ['alpha', 'beta'],
  HardSwish: [],
  LeakyRelu: ['alpha'],
  Relu: [],
  Selu: ['alpha', 'gamma'],
  Sigmoid: [],
  Softplus: [],
  Softsign: [],
  Tanh: [],
  ThresholdedRelu: ['alpha'],
};

/** @returns whether the activation of a fused operator (none: '') is one that {@link activate} can spell out. */
export function isActivation(name: string): boolean {
  return name === '' || name === 'Clip' || Object.hasOwn(functions, name);
}

/**
 * Spells out the activation of a fused operator. Its parameters are a list, `activation_params` (FusedConv), or
 * attributes of their own, `activation_alpha` … (FusedGemm).
 */
export function activate(formula: Formula, attrs: Attributes, x: string, output: string): void {
  const name = attrs.string('activation', '');
  const list = attrs.floats('activation_params');
  if (name === 'Clip') {
    formula.apply('Clip', [x, ...(list ?? []).map((bound) => formula.scalar(bound))], {}, output);
    return;
  }
  const given = (functions[name] ?? []).flatMap((parameter, i) => {
    const value = list?.[i] ?? attrs.float(`activation_${parameter}`);
    return value === undefined ? [] : [[parameter, { float: value }] as const];
  });
  formula.apply(name || 'Identity', [x], Object.fromEntries(given), output);
}
