import type { GraphBuilder, Value } from '../onnx/builder.js';

export type OptimizerOptions =
  | { readonly name: 'sgd'; readonly momentum: number; readonly nesterov: boolean; readonly weightDecay: number }
  | {
      readonly name: 'adam' | 'adamw';
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly weightDecay: number;
    };

/** State that the optimizer keeps for each parameter; all slots have the parameter's shape and start at zero. */
export function slotsOf(options: OptimizerOptions): readonly string[] {
  if (options.name === 'sgd') return options.momentum > 0 ? ['momentum'] : [];
  return ['moment1', 'moment2'];
}

/** @returns the name of a parameter's slot in the state of a step. */
export function slotName(parameter: string, slot: string): string {
  return `${parameter}/${slot}`;
}

/** What one update needs besides the parameter and its gradient. */
export interface UpdateInputs {
  /** Learning rate of this step, scalar. */
  readonly rate: Value;
  /** Bias corrections 1/(1−β₁ᵗ) and 1/(1−β₂ᵗ), scalars; Adam only. */
  readonly correction1?: Value;
  readonly correction2?: Value;
  /**
   * 1 for elements of living units, 0 for those of dead ones, broadcasting to the parameter; absent when nothing can
   * die. Momentum must not revive a dead unit, nor weight decay act on it.
   */
  readonly alive?: Value;
  /** Factor on the gradient (clipping), scalar. */
  readonly gradientScale?: Value;
  /** Whether weight decay applies (not on biases and norm parameters). */
  readonly decays: boolean;
}

export interface Updated {
  readonly parameter: Value;
  readonly slots: readonly Value[];
  /**
   * The step size that gradients of a group of elements meet, for the proximal thresholds: η/(1 − momentum) for SGD,
   * η/(√mean(v̂) + ε) for Adam, the mean taken over `axes` of the parameter (kept as 1). Elements that never had a
   * gradient (v̂ = 0) must not set the step of their whole group, hence the mean under the root.
   */
  stepSize(axes: readonly number[]): Value;
}

/** Emits one update of one parameter. Source: Adam, Kingma & Ba 2015, algorithm 1; AdamW, Loshchilov & Hutter 2019. */
export function emitUpdate(
  g: GraphBuilder,
  options: OptimizerOptions,
  parameter: Value,
  gradient: Value,
  slots: readonly Value[],
  inputs: UpdateInputs,
): Updated {
  const { rate, alive, decays } = inputs;
  const scaled = inputs.gradientScale ? g.mul(gradient, inputs.gradientScale) : gradient;
  const decay = decays ? options.weightDecay : 0;
  const masked = (slot: Value, factor: number) => g.mul(slot, alive ? g.mul(alive, factor) : factor);
  if (options.name === 'sgd') {
    const dw = decay > 0 ? g.add(scaled, g.mul(parameter, decay)) : scaled;
    if (options.momentum === 0) {
      return { parameter: g.sub(parameter, g.mul(dw, rate)), slots: [], stepSize: () => rate };
    }
    const momentum = g.add(masked(slots[0], options.momentum), dw);
    const direction = options.nesterov ? g.add(dw, g.mul(momentum, options.momentum)) : momentum;
    return {
      parameter: g.sub(parameter, g.mul(direction, rate)),
      slots: [momentum],
      stepSize: () => g.mul(rate, 1 / (1 - options.momentum)),
    };
  }
  const { beta1, beta2, epsilon } = options;
  const dw = options.name === 'adam' && decay > 0 ? g.add(scaled, g.mul(parameter, decay)) : scaled;
  const moment1 = g.add(masked(slots[0], beta1), g.mul(dw, 1 - beta1));
  const moment2 = g.add(masked(slots[1], beta2), g.mul(g.mul(dw, dw), 1 - beta2));
  const secondMoment = g.mul(moment2, inputs.correction2!);
  const stepSize = (v: Value) => g.div(rate, g.add(g.sqrt(v), epsilon));
  const moved = g.sub(parameter, g.mul(g.mul(moment1, inputs.correction1!), stepSize(secondMoment)));
  const next = options.name === 'adamw' && decay > 0 ? g.sub(moved, g.mul(parameter, g.mul(rate, decay))) : moved;
  return {
    parameter: next,
    slots: [moment1, moment2],
    stepSize: (axes) => stepSize(g.reduceMean(secondMoment, axes, true)),
  };
}
