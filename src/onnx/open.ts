import { type Inlined, withoutFunctions } from './functions.js';
import { type OnnxFile, readModel } from './read.js';
import { withUniqueNames } from './uniqueNames.js';

/** A model as the tool works on it. */
export interface OpenedFile extends OnnxFile {
  /** What is other than in the file, in the model's words. */
  readonly notes: readonly string[];
}

/** Reads a model and prepares it: functions are inlined, and values inside bodies have names of their own. */
export function openModel(path: string): OpenedFile {
  return prepared(readModel(path));
}

/** @returns the file with its functions inlined and a name of its own for every value. */
export function prepared(file: OnnxFile): OpenedFile {
  const found = withoutFunctions(file.model);
  const model = withUniqueNames(found.model);
  return { ...file, model, notes: notesOn(found) };
}

function notesOn({ inlined, left }: Inlined): string[] {
  const notes = left.map(({ name, why }) => `calls of the function ${name} stay as they are: ${why}`);
  if (inlined.length === 0) return notes;
  const some = inlined.slice(0, 3).join(', ') + (inlined.length > 3 ? `, ${inlined.length - 3} more` : '');
  return [`the model's own functions were inlined: ${some}`, ...notes];
}
