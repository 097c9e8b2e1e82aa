/**
 * What a data set is, whatever files it comes from: samples of one or more named parts, each with a target if there is
 * one, at random access and in bounded memory. Readers make it; `prepare` fits it to a model's inputs.
 */

export const dataFormats = ['idx', 'cifar', 'images', 'csv', 'npy', 'npz'] as const;

export type DataFormat = (typeof dataFormats)[number];

/** Raw values: bytes stay bytes, everything else is the narrowest of these that holds it without loss. */
export type RawArray = Uint8Array | Float32Array | Float64Array;

/** Samples as they lie in memory: sample `k` of a request begins at `data[offsets[k]]`. */
export interface Rows {
  readonly data: RawArray;
  readonly offsets: Float64Array;
}

/** Random access to samples of equal size. An answer is a view: never write to it. */
export interface Source {
  readonly length: number;
  /** Values per sample. */
  readonly elements: number;
  read(indices: ArrayLike<number>): Rows | Promise<Rows>;
}

/** Size of a picture, in pixels and colour channels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** A picture per sample. */
export interface ImagePart extends ImageSize {
  readonly kind: 'image';
  readonly name: string;
  /** The pictures of the files differ in size; height and width are those of one of them. */
  readonly varying: boolean;
  /** Channels first (`planar`) or last (`interleaved`), in what `at` gives. */
  readonly order: 'planar' | 'interleaved';
  /** Bytes 0…255, or numbers of any range, which are never resized. */
  readonly dtype: 'uint8' | 'float32';
  /** The pictures at a size: scaled to its short side, then cropped to the centre; grey from colour, colour from grey. */
  at(size: ImageSize): Source;
}

/** Numbers per sample: a vector, a sequence, anything that is no picture. */
export interface TensorPart {
  readonly kind: 'tensor';
  readonly name: string;
  readonly shape: readonly number[];
  readonly source: Source;
}

export type Part = ImagePart | TensorPart;

/** What is to be predicted: one of so many classes, or numbers. */
export type Target =
  | { readonly kind: 'class'; readonly classes: number; readonly names?: readonly string[] }
  | { readonly kind: 'values'; readonly shape: readonly number[] };

/** Raw samples, not yet fitted to a model. */
export interface Dataset {
  readonly format: DataFormat;
  readonly path: string;
  readonly length: number;
  /** What one sample consists of. */
  readonly sample: readonly Part[];
  readonly target?: Target;
  /** The class of every sample, where the target is a class. */
  readonly labels?: Int32Array;
  /** The numbers to predict, where the target is values. */
  readonly values?: Source;
}

/** What was found at a path. */
export interface DataFound {
  readonly train: Dataset;
  /** The test set that came with it: never to be trained on, nor used to choose anything. */
  readonly test?: Dataset;
  /** Decisions that the data left open, as sentences for the user. */
  readonly choices: readonly string[];
  readonly warnings: readonly string[];
}

/** How to read what is at a path, where that is not plain from the files. */
export interface OpenOptions {
  /** `test`: the test set takes the place of the training set, where there is one. */
  readonly split?: 'train' | 'test';
  /** The column of a CSV file that holds the label: its name, or its number from 0 (negative: from the end). */
  readonly labelColumn?: string | number;
  /** Whether the target is a class or numbers. Default: read from the values. */
  readonly target?: 'class' | 'values';
  /** Values per sample that the model takes, if it is known: tells features from labels. */
  readonly features?: number;
  /** Outputs of the model, if they are known: tells a label column from the others, and numbers from classes. */
  readonly classes?: number;
  /** Names of the model's inputs: the arrays of an NPZ file are matched to them. */
  readonly inputs?: readonly string[];
  /** Class names in the order of the training data, for data that is opened after it. */
  readonly names?: readonly string[];
  /** Files up to this size are held in memory; larger ones are read by ranges where their format allows it. */
  readonly memoryBytes?: number;
  /** Limit of decoded pictures that are kept. */
  readonly cacheBytes?: number;
}

export const defaultMemoryBytes = 512 * 2 ** 20;
export const defaultCacheBytes = 256 * 2 ** 20;
