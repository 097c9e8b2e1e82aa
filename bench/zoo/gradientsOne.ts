import { existsSync } from 'node:fs';
import { checkGradients } from '../../src/checkGradients.js';
import { CgesError, type ErrorCode } from '../../src/errors.js';
import type { Phase } from '../../src/report/events.js';
import { readReference } from '../../src/validate/reference.js';
import type { Result, Task } from './result.js';

/** They tell what the tool cannot do, wherever they come from. */
const explained: readonly ErrorCode[] = ['NO_GRADIENT', 'NOTHING_TO_TRAIN'];

/** Holds the gradients of a model to its reference. */
export async function gradientsOne({ path, reference: beside, seed, differences }: Task): Promise<Result> {
  const reference = beside !== undefined && existsSync(beside) ? beside : undefined;
  const given = reference !== undefined && readReference(reference).grad !== undefined;
  if (!given && !differences) return { outcome: 'skipped', why: 'there are no reference gradients' };
  let phase: Phase = 'inspect';
  try {
    const report = await checkGradients({
      input: path,
      reference,
      seed,
      onEvent: (event) => {
        if (event.type === 'phase') phase = event.phase;
      },
    });
    const { counts, checks, lossCheck } = report;
    const wrong = checks.filter((c) => c.verdict === 'WRONG').map((c) => c.name);
    if (lossCheck.verdict === 'WRONG') wrong.unshift('the loss');
    const worst = Math.max(0, ...checks.map((c) => c.worst ?? 0));
    const base = { gradients: counts, worst, details: { against: report.against, lossCheck, checks } };
    if (wrong.length > 0) return { outcome: 'WRONG', why: wrong.slice(0, 5).join(', '), ...base };
    if (report.agree) return { outcome: 'ok', ...base };
    return { outcome: 'refused', why: checks.find((c) => c.why)?.why ?? 'nothing could be compared', ...base };
  } catch (error) {
    if (!(error instanceof CgesError)) throw error;
    if (!explained.includes(error.code) && phase !== 'inspect') throw error;
    return { outcome: 'refused', why: error.message };
  }
}
