import { unary } from './unary.js';

/** y = x · tanh(softplus(x)). */
export const Mish = unary({
  op: 'Mish',
  since: 18,
  grad: (g, { x, dy }) => {
    const t = g.tanh(g.unary('Softplus', x));
    const slope = g.add(t, g.mul(g.mul(x, g.sigmoid(x)), g.sub(g.scalar(1, x.dtype), g.mul(t, t))));
    return g.mul(dy, slope);
  },
});
