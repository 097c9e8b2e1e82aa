/** An Einsum equation with every axis named by one letter. */
export interface Equation {
  /** The letters of every operand's axes. */
  readonly operands: readonly string[];
  readonly output: string;
  /** The size that each letter stands for; an operand's axis of size 1 broadcasts to it. */
  readonly sizes: ReadonlyMap<string, number>;
}

/**
 * Reads an equation as ONNX defines it: `...` stands for leading axes that broadcast, aligned from the right; without
 * `->` the output has the ellipsis and then the letters that occur once, in alphabetical order.
 */
export function equationOf(text: string, inputs: readonly { readonly shape: readonly number[] }[]): Equation {
  const [left, right] = text.replaceAll(/\s/g, '').split('->');
  const terms = left.split(',');
  const free = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'].filter((letter) => !text.includes(letter));
  const widths = terms.map((term, k) => (term.includes('...') ? inputs[k].shape.length - (term.length - 3) : 0));
  const most = Math.max(...widths);
  const ellipsis = free.slice(0, most).join('');
  const spelt = (term: string, width: number): string => term.replace('...', ellipsis.slice(most - width));
  const operands = terms.map((term, k) => spelt(term, widths[k]));
  const all = operands.join('');
  const once = [...new Set(left.replaceAll(/[,.]/g, ''))].filter(
    (letter) => all.indexOf(letter) === all.lastIndexOf(letter),
  );
  const output = right === undefined ? ellipsis + once.sort().join('') : spelt(right, most);
  const sizes = new Map<string, number>();
  operands.forEach((letters, k) => {
    [...letters].forEach((letter, axis) => {
      sizes.set(letter, Math.max(sizes.get(letter) ?? 1, inputs[k].shape[axis]));
    });
  });
  return { operands, output, sizes };
}
