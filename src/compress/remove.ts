import type { OnnxFile } from '../onnx/read.js';
import { type StripResult, strip } from '../prune/strip.js';
import { analyse } from '../shape/analyse.js';
import { nameMatcher } from '../shape/names.js';
import type { Job } from './job.js';

/** What a strip cut away. */
export type CutFacts = Pick<StripResult, 'families' | 'unitsBefore' | 'unitsAfter'>;

/** Removes what is dead from a trained model and holds the result to the same outputs on real samples. */
export async function removeDead(job: Job, file: OnnxFile): Promise<{ file: OnnxFile; cut: CutFacts }> {
  const analysis = await analyse(file, job.analysis.options);
  const { model, families, unitsBefore, unitsAfter } = await strip(file, analysis, {
    keep: job.options.keep && nameMatcher(job.options.keep),
    samples: await job.realSamples(),
  });
  return { file: { ...file, bytes: new Uint8Array(), model }, cut: { families, unitsBefore, unitsAfter } };
}
