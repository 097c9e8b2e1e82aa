import { env, InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { CgesError, type Place } from '../errors.js';
import type { ModelProto } from '../onnx/proto.js';
import { encodeModel } from '../onnx/write.js';
import type { DType, Tensor, TensorData } from '../tensor/tensor.js';
import { type ConcreteProvider, requireProvider } from './providers.js';

export interface SessionOptions {
  readonly provider?: ConcreteProvider;
  readonly threads?: ThreadOptions;
  /** How far onnxruntime may rewrite the graph (default `all`); `disabled` keeps every value observable. */
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'layout' | 'all';
  /**
   * Whether threads wait for the next operator in a loop (onnxruntime's default) or asleep. In a loop they take the
   * processors from everything else, the preparation of data included.
   */
  readonly spinning?: boolean;
  /** Named in errors. */
  readonly file?: string;
}

/** Numbers of threads; 0 or absent leaves the choice to onnxruntime. */
export interface ThreadOptions {
  /** Threads of one operator. */
  readonly intraOp?: number;
  /** Threads over operators; more than one means onnxruntime's parallel execution mode. */
  readonly interOp?: number;
}

/** An input or output as the session declares it: a string (possibly empty) is a free dimension. */
export interface Port {
  readonly name: string;
  /** Absent for what is no tensor (sequences, maps, optionals). */
  readonly dtype?: DType;
  readonly shape?: readonly (number | string)[];
}

/** A loaded model. Values go in and come out without copies of their elements. */
export interface Session {
  readonly provider: ConcreteProvider;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Runs the model. Without `fetches`, all outputs are computed. */
  run(feeds: Readonly<Record<string, Tensor>>, fetches?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Severity 4 (fatal): what goes wrong is in the error, nothing is printed. */
const SILENT = 4;

/**
 * Loads a model from a message, from bytes or from a file. Models with external data or of more than 2 GB are loaded
 * from their file.
 *
 * **Throws** MODEL_UNRUNNABLE when onnxruntime refuses the model, PROVIDER_UNAVAILABLE when it refuses the provider.
 */
export async function openSession(
  model: ModelProto | Uint8Array | string,
  options: SessionOptions = {},
): Promise<Session> {
  const provider = options.provider ?? 'cpu';
  const source = typeof model === 'string' || model instanceof Uint8Array ? model : encodeModel(model);
  const file = options.file ?? (typeof model === 'string' ? model : undefined);
  env.logLevel = 'fatal';
  let inner: InferenceSession;
  try {
    inner = await create(source, sessionOptions(provider, options));
  } catch (cause) {
    if (provider !== 'cpu') await requireProvider(provider, loadsOn);
    // Without optimisations onnxruntime loses track of some casts that it adds to half-precision models.
    if (options.optimisation === 'disabled' && messageOf(cause).includes('InsertedPrecisionFreeCast'))
      return openSession(model, { ...options, optimisation: 'basic' });
    throw unrunnable('load', cause, { file });
  }
  return new OrtSession(inner, provider, file);
}

/** @returns why a provider cannot load even this model, or undefined when it can. */
async function loadsOn(provider: ConcreteProvider, model: ModelProto): Promise<string | undefined> {
  try {
    const session = await create(encodeModel(model), sessionOptions(provider, {}));
    await session.release();
    return undefined;
  } catch (cause) {
    return messageOf(cause);
  }
}

export { loadsOn };

function create(source: Uint8Array | string, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
  return typeof source === 'string'
    ? InferenceSession.create(source, options)
    : InferenceSession.create(source, options);
}

function sessionOptions(provider: ConcreteProvider, options: SessionOptions): InferenceSession.SessionOptions {
  const { intraOp, interOp } = options.threads ?? {};
  return {
    executionProviders: [provider],
    graphOptimizationLevel: options.optimisation ?? 'all',
    logSeverityLevel: SILENT,
    ...(intraOp && { intraOpNumThreads: intraOp }),
    ...(interOp && { interOpNumThreads: interOp }),
    ...(interOp && interOp > 1 && { executionMode: 'parallel' as const }),
    ...(options.spinning === false && { extra: { session: { intra_op: { allow_spinning: '0' } } } }),
  };
}

class OrtSession implements Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];

  constructor(
    private readonly inner: InferenceSession,
    readonly provider: ConcreteProvider,
    private readonly file: string | undefined,
  ) {
    this.inputs = inner.inputMetadata.map(portOf);
    this.outputs = inner.outputMetadata.map(portOf);
  }

  async run(feeds: Readonly<Record<string, Tensor>>, fetches?: readonly string[]): Promise<Record<string, Tensor>> {
    const given: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(feeds)) given[name] = toOrt(tensor, name);
    let results: InferenceSession.ReturnType;
    try {
      results = fetches ? await this.inner.run(given, fetches) : await this.inner.run(given);
    } catch (cause) {
      throw unrunnable('run', cause, { file: this.file });
    }
    const out: Record<string, Tensor> = {};
    for (const name of fetches ?? this.inner.outputNames) out[name] = fromOrt(results[name], name);
    return out;
  }

  async close(): Promise<void> {
    await this.inner.release();
  }
}

function portOf(meta: InferenceSession.ValueMetadata): Port {
  return meta.isTensor ? { name: meta.name, dtype: meta.type, shape: meta.shape } : { name: meta.name };
}

/** @returns onnxruntime's view of a tensor, over the same memory. */
export function toOrt(tensor: Tensor, name = ''): OrtTensor {
  const { dtype, dims } = tensor;
  try {
    return new OrtTensor(dtype as 'float32', tensor.data as Float32Array, dims);
  } catch (cause) {
    throw new CgesError('MODEL_UNRUNNABLE', `a ${dtype} tensor [${dims}] cannot be given to onnxruntime`, {
      value: name,
      cause,
    });
  }
}

/** @returns our view of one of onnxruntime's tensors, over the same memory. */
export function fromOrt(value: unknown, name = ''): Tensor {
  if (!(value instanceof OrtTensor)) {
    throw new CgesError('MODEL_UNRUNNABLE', 'a value that is no tensor cannot be read', { value: name });
  }
  const data: ArrayBufferView | string[] = value.data as ArrayBufferView | string[];
  // Newer versions of Node hand out float16 as Float16Array.
  const plain = !Array.isArray(data) && value.type === 'float16' ? bits16(data) : (data as TensorData);
  return { dtype: value.type, dims: value.dims, data: plain };
}

function bits16(data: ArrayBufferView): Uint16Array {
  return data instanceof Uint16Array ? data : new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
}

/** @returns onnxruntime's complaint as our error, with the node that it names. */
function unrunnable(verb: 'load' | 'run', cause: unknown, place: Place): CgesError {
  const message = messageOf(cause);
  const memory = /bad_alloc|Failed to allocate memory/.test(message);
  return new CgesError('MODEL_UNRUNNABLE', `onnxruntime cannot ${verb} the model: ${message}`, {
    ...place,
    ...blamed(message),
    ...(memory && { hint: 'memory ran out: a smaller --batch needs less' }),
    cause,
  });
}

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).trim();
}

/** @returns the node and operator that a message of onnxruntime speaks of. */
export function blamed(message: string): Place {
  const running = /running (\w+) node\. Name:'([^']*)'/.exec(message);
  if (running) return { op: running[1], ...(running[2] && { node: running[2] }) };
  const invalid = /In Node, \("([^"]*)", (\w+),/.exec(message);
  if (invalid) return { op: invalid[2], ...(invalid[1] && { node: invalid[1] }) };
  const inferred = /Node ?\(([^)]*)\) Op ?\((\w+)\)/.exec(message);
  if (inferred) return { op: inferred[2], ...(inferred[1] && { node: inferred[1] }) };
  const missing = /(?:implementation for|for node) (\w+)\(\d+\) node with name '([^']*)'/.exec(message);
  if (missing) return { op: missing[1], ...(missing[2] && { node: missing[2] }) };
  return {};
}
