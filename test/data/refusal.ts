import { expect } from 'vitest';
import { CgesError, type ErrorCode } from '../../src/errors.js';

/** Expects a promise to fail with one code and a message that says this much. */
export async function refuses(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<CgesError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(CgesError);
  const found = error as CgesError;
  expect({ code: found.code, message: found.message }).toEqual({ code, message: expect.stringMatching(message) });
  return found;
}
