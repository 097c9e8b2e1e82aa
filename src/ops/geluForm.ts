import type { Chain } from './chain.js';

/** Emits y = x·Φ(x) with Φ(x) = ½(1 + erf(x/√2)). */
export function exactGelu(chain: Chain, x: string, output: string): void {
  gated(chain, x, chain.emit('Erf', [chain.emit('Mul', [x, chain.scalar(Math.SQRT1_2)])]), output);
}

/** Emits y = ½·x·(1 + tanh(√(2/π)(x + 0.044715·x³))). */
export function tanhGelu(chain: Chain, x: string, output: string): void {
  const square = chain.emit('Mul', [x, x]);
  const factor = chain.emit('Add', [chain.emit('Mul', [square, chain.scalar(0.044715)]), chain.scalar(1)]);
  const inner = chain.emit('Mul', [chain.emit('Mul', [x, factor]), chain.scalar(Math.sqrt(2 / Math.PI))]);
  gated(chain, x, chain.emit('Tanh', [inner]), output);
}

function gated(chain: Chain, x: string, t: string, output: string): void {
  const phi = chain.emit('Mul', [chain.emit('Add', [t, chain.scalar(1)]), chain.scalar(0.5)]);
  chain.emit('Mul', [x, phi], {}, output);
}
