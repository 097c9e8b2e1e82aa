import type { CompressOptions } from '../options.js';
import type { OptimizerOptions } from './optimizer.js';

/** What the choice of a recipe may look at. */
export interface RecipeFacts {
  readonly trainSamples: number;
  /** The network normalises by the statistics of the batch while it is trained. */
  readonly liveBatchNorm: boolean;
  /** It learns the outputs of the model that it was, and knows them already. */
  readonly matching?: boolean;
  /** Samples that the model takes at once when its batch is literal and cannot be changed. */
  readonly fixedBatch?: number;
}

/** How a network is made sparse and recovered; every number can be given by an option. */
export interface Recipe {
  readonly batch: number;
  /** A step sums the gradients of this many batches. */
  readonly microBatches: number;
  readonly optimizer: OptimizerOptions;
  readonly sparsify: Phase;
  readonly recover: Phase;
  /** For every option that was left open, why it was chosen so. */
  readonly why: readonly { readonly what: string; readonly value: string; readonly why: string }[];
}

export interface Phase {
  readonly epochs: number;
  readonly peakRate: number;
  /** Share of the phase in which the rate warms up. */
  readonly warmup: number;
  /** Share of the peak that is left at the end. */
  readonly floor: number;
}

/** Steps that each phase should have, within its bounds of epochs: small data is seen more often. */
const phases = {
  sparsify: { steps: 3000, least: 4, most: 60 },
  recover: { steps: 6000, least: 6, most: 80 },
} as const;

/** @returns a recipe for fine-tuning a trained network whose training code is not at hand: robust rather than fast. */
export function chooseRecipe(
  facts: RecipeFacts,
  options: Pick<CompressOptions, 'batch' | 'optimizer' | 'lr' | 'epochs' | 'recoverEpochs'>,
): Recipe {
  const why: Recipe['why'][number][] = [];
  const wanted = options.batch ?? (facts.trainSamples >= 20_000 ? 128 : facts.trainSamples >= 5_000 ? 64 : 32);
  const samplesPerStep = Math.min(wanted, facts.trainSamples);
  const batch = facts.fixedBatch ?? samplesPerStep;
  const microBatches = facts.fixedBatch ? Math.max(1, Math.round(samplesPerStep / facts.fixedBatch)) : 1;
  if (options.batch === undefined)
    why.push({ what: 'batch', value: `${batch * microBatches}`, why: `${facts.trainSamples} training samples` });

  const name = options.optimizer ?? (facts.liveBatchNorm ? 'sgd' : 'adam');
  const optimizer: OptimizerOptions =
    name === 'sgd'
      ? { name, momentum: 0.9, nesterov: true, weightDecay: 1e-4 }
      : { name, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: name === 'adamw' ? 1e-2 : 0 };
  if (!options.optimizer) {
    const reason = facts.liveBatchNorm
      ? 'BatchNormalization keeps the scale of gradients even'
      : 'gradients may be of any scale without BatchNormalization';
    why.push({ what: 'optimizer', value: name, why: reason });
  }
  // Adam takes whole steps where there is next to nothing to learn: what fits already is shaken.
  const rate = options.lr ?? (name === 'sgd' ? 0.02 : facts.matching ? 1e-4 : 1e-3);
  if (facts.matching && options.lr === undefined)
    why.push({ what: 'lr', value: `${rate}`, why: 'the outputs to be learnt are known at the start' });

  const steps = Math.max(1, Math.floor(facts.trainSamples / (batch * microBatches)));
  const epochsFor = (p: (typeof phases)[keyof typeof phases]) =>
    Math.max(p.least, Math.min(p.most, Math.ceil(p.steps / steps)));
  const sparsify = options.epochs ?? epochsFor(phases.sparsify);
  const recover = options.recoverEpochs ?? epochsFor(phases.recover);
  if (options.epochs === undefined)
    why.push({ what: 'epochs', value: `${sparsify}`, why: `${steps} steps in an epoch` });
  if (options.recoverEpochs === undefined)
    why.push({ what: 'recover-epochs', value: `${recover}`, why: `${steps} steps in an epoch` });
  return {
    batch,
    microBatches,
    optimizer,
    sparsify: { epochs: sparsify, peakRate: rate, warmup: 0.05, floor: 0.3 },
    recover: { epochs: recover, peakRate: rate, warmup: 0.05, floor: 0.01 },
    why,
  };
}
