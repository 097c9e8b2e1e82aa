import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeModel, type OnnxFile } from '../../src/onnx/read.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { type Reference, readReference, referenceInputs, withSeededWeights } from '../../src/validate/reference.js';

/*
 * Real architectures whose weights are drawn from seeds, with reference outputs and gradients of another framework.
 * They lie beside the project where there are any.
 */

const folder = fileURLToPath(new URL('../../../shared/zoo/', import.meta.url));

/** Why the zoo cannot be used, or undefined. */
export const missing = existsSync(`${folder}INDEX.md`) ? undefined : `there is no model zoo at ${folder}`;

export { filled } from '../../src/validate/reference.js';
export type { Reference } from '../../src/validate/reference.js';

export interface ZooModel {
  readonly file: OnnxFile;
  readonly reference: Reference;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** @returns the path of a file of the zoo. */
export function zooFile(name: string): string {
  return `${folder}${name}`;
}

/** @returns a complete model of the zoo, with its inputs. */
export function zooModel(name: string): ZooModel {
  const file = withSeededWeights(decodeModel(readFileSync(zooFile(`${name}.onnx`)), `${name}.onnx`));
  const reference = readReference(zooFile(`${name}.json`));
  return { file, reference, feeds: referenceInputs(reference) };
}
