import type { GraphBuilder } from '../onnx/builder.js';
import type { DType, Tensor } from '../tensor/tensor.js';

/** A value that a step reads and replaces: parameter, optimizer slot, running statistic, mask of living units. */
export interface StateSlot {
  /** Name of the step graph's input. */
  readonly name: string;
  /** Name of the value that replaces it. */
  readonly next: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A value that every step is given: a batch, its targets, the learning rate. */
export interface FeedSlot {
  readonly name: string;
  readonly dtype: DType;
  /** Without the leading axis of steps. */
  readonly shape: readonly number[];
}

/** One training step: forward, loss, backward, optimizer, proximal step. Every engine runs this and nothing else. */
export interface StepGraph extends StepPorts {
  readonly graph: Pick<GraphBuilder, 'nodes' | 'initializers' | 'domains' | 'values'>;
}

/** What goes into a step and what comes out. */
export interface StepPorts {
  readonly state: readonly StateSlot[];
  readonly feeds: readonly FeedSlot[];
  /** Scalar float32 values to report for every step. */
  readonly metrics: readonly { readonly name: string; readonly value: string }[];
}

/** A step graph loaded into an engine, with the state that it owns between runs. */
export interface TrainingRun {
  readonly engine: string;
  readonly provider: string;
  readonly threads: number;
  /**
   * Runs as many steps as the leading axis of every feed says.
   * @returns for every metric one number per step
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>>;
  /** @returns a copy of the whole state; the engine may go on. */
  state(): Promise<Map<string, Tensor>>;
  close(): Promise<void>;
}

/** How steps are executed on one kind of provider. */
export interface TrainingEngine {
  load(step: StepGraph, state: ReadonlyMap<string, Tensor>): Promise<TrainingRun>;
}

/** Number of steps that the feeds hold. */
export function stepsOf(step: StepPorts, feeds: Readonly<Record<string, Tensor>>): number {
  let steps: number | undefined;
  for (const slot of step.feeds) {
    const feed = feeds[slot.name];
    if (!feed) throw new Error(`no feed for ${slot.name}`);
    steps ??= feed.dims[0];
    const rest = feed.dims.slice(1);
    if (feed.dims[0] !== steps || rest.length !== slot.shape.length || rest.some((d, i) => d !== slot.shape[i])) {
      throw new Error(`feed ${slot.name} has shape [${feed.dims}], not [${steps}, ${slot.shape}]`);
    }
  }
  if (steps === undefined) throw new Error('a step without feeds');
  return steps;
}
