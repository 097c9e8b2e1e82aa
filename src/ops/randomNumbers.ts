import { type Example, type OpSpec, refused } from './spec.js';

/** @returns the spec of an operator that draws other numbers in every run. */
export function randomNumbers(
  op: string,
  since: number,
  inputs: readonly string[],
  example: Omit<Example, 'title'>,
): OpSpec {
  return {
    op,
    since,
    inputs,
    outputs: ['output'],
    grad: refused('random numbers have no slope'),
    training: refused('it draws other numbers in every run, so that training could not be repeated'),
    channels: refused(`${op} draws as many numbers as it is asked for`),
    examples: [{ title: 'default', ...example }],
  };
}
