import type { OnnxFile } from '../onnx/read.js';
import { type StripResult, strip } from '../prune/strip.js';
import { analyse } from '../shape/analyse.js';
import { nameMatcher } from '../shape/names.js';
import type { Job } from './job.js';

/** One removal of dead units, with the proof that it changed nothing. */
export interface Removal {
  readonly file: OnnxFile;
  /** The model just before, its dead units still in it. */
  readonly before: OnnxFile;
  readonly result: StripResult;
}

/** Removes what is dead from a trained model and holds the result to the same outputs on real samples. */
export async function removeDead(job: Job, file: OnnxFile): Promise<Removal> {
  const analysis = await analyse(file, job.analysis.options);
  const result = await strip(file, analysis, {
    keep: job.options.keep && nameMatcher(job.options.keep),
    samples: await job.realSamples(),
  });
  return { file: { ...file, bytes: new Uint8Array(), model: result.model }, before: file, result };
}
