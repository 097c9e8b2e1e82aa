import type { ModelProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { type StripResult, strip } from '../prune/strip.js';
import { analyse } from '../shape/analyse.js';
import { nameMatcher } from '../shape/names.js';
import type { Job } from './job.js';

/** What a strip cut away. */
export type CutFacts = Pick<StripResult, 'families' | 'unitsBefore' | 'unitsAfter'>;

/**
 * Removes what is dead from a trained model and holds the result to the same outputs on real samples.
 * @param slots the same model with an optimizer's state in place of its weights, cut alike
 */
export async function removeDead(
  job: Job,
  file: OnnxFile,
  slots: readonly ModelProto[] = [],
): Promise<{ file: OnnxFile; cut: CutFacts; slots: readonly ModelProto[] }> {
  const analysis = await analyse(file, job.analysis.options);
  const { model, alongside, families, unitsBefore, unitsAfter } = await strip(file, analysis, {
    keep: job.options.keep && nameMatcher(job.options.keep),
    samples: await job.realSamples(),
    alongside: slots,
  });
  return {
    file: { ...file, bytes: new Uint8Array(), model },
    cut: { families, unitsBefore, unitsAfter },
    slots: alongside,
  };
}
