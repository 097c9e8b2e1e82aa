import { type Job, openJob } from './compress/job.js';
import { prove } from './compress/prove.js';
import { compressInRounds } from './compress/rounds.js';
import { CgesError, hasCode } from './errors.js';
import type { CompressOptions } from './options.js';
import type { Report } from './report/schema.js';

export type { CompressOptions } from './options.js';

/**
 * The whole job: fine-tunes a model with CGES sparsity, removes the channels that reached zero, recovers the accuracy,
 * proves the smaller model through onnxruntime and writes it.
 *
 * An aborted signal and an exhausted time budget end training early; what was reached by then is proved and written.
 *
 * **Throws** CgesError; nothing is written then.
 */
export async function compress(options: CompressOptions): Promise<Report> {
  const job = await openJob(options);
  try {
    const { rounds, outcome } = await compressInRounds(job);
    const report = await prove(job, rounds, outcome);
    if (outcome === 'completed') await job.keeper?.clear();
    return report;
  } catch (error) {
    throw hasCode(error, 'DEVICE_LOST') ? withWayOn(error, job) : error;
  } finally {
    await job.close();
  }
}

function withWayOn(error: CgesError, { keeper, place }: Job): CgesError {
  const again = keeper?.saved()
    ? `the same command goes on from ${keeper.folder}`
    : 'nothing had been saved yet: run it again';
  const hint = `${again}; with ${place.wayHome} it needs no device`;
  return new CgesError(error.code, error.message, { ...error.place, hint, cause: error });
}
