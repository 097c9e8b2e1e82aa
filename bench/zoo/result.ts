/** What a child process is asked to do with one model. */
export interface Task {
  readonly mode: 'strip' | 'gradients' | 'distill';
  readonly path: string;
  /** The neighbouring file of inputs and reference, where there is one. */
  readonly reference?: string;
  /** Share of the units that are set to zero. */
  readonly ratio: number;
  readonly seed: number;
  /** Takes central differences where there is no reference. */
  readonly differences: boolean;
}

/** What became of one model. */
export interface Result {
  readonly outcome: 'ok' | 'refused' | 'skipped' | 'WRONG' | 'CRASH';
  /** Why it was not ok, or what else there is to say. */
  readonly why?: string;
  readonly units?: { readonly of: number; readonly zeroed: number; readonly gone: number };
  readonly params?: { readonly before: number; readonly after: number };
  /** Parameters by what became of their gradients. */
  readonly gradients?: Readonly<Record<string, number>>;
  /** The loss of a disturbed model against the original, before and after it learnt from it. */
  readonly distilled?: { readonly before: number; readonly after: number };
  /** The worst difference, as a share. */
  readonly worst?: number;
  readonly details?: unknown;
}

/** A result with what the parent adds. */
export interface Row extends Result {
  readonly name: string;
  readonly seconds: number;
}
