import { CgesError } from '../errors.js';
import { sizeOf } from '../tensor/tensor.js';
import type { Dataset, ImagePart, ImageSize, Part, Source, TensorPart } from './dataset.js';
import type { Geometry } from './fill.js';
import type { Layout, ModelInput, Preprocessing } from './preprocessing.js';

/** Size that pictures of different sizes get where the model leaves it open. */
const OPEN_SIZE = 224;

/** A part of the data, fitted to an input of a model. */
export interface Fit {
  readonly input: ModelInput;
  /** Per sample, without the batch axis. */
  readonly shape: readonly number[];
  readonly elements: number;
  readonly source: Source;
  /** Where the values are a picture's. */
  readonly geometry?: Geometry;
  /** What had to be decided, for the user. */
  readonly choices: readonly string[];
}

/** The pictures that an input takes. */
export interface PictureForm extends ImageSize {
  readonly layout: Layout;
  /** The whole shape of the input. */
  readonly shape: readonly number[];
}

/** @returns which part of a sample feeds which input. */
export function matchParts(dataset: Dataset, inputs: readonly ModelInput[]): Part[] {
  const parts = dataset.sample;
  if (parts.length === 1 && inputs.length === 1) return [parts[0]];
  const left = [...parts];
  const take = (part: Part | undefined) => {
    if (part) left.splice(left.indexOf(part), 1);
    return part;
  };
  const found = inputs.map((input) => take(left.find((p) => p.name === input.name)));
  for (const [i, input] of inputs.entries())
    found[i] ??= take(left.find((p) => p.name.toLowerCase() === input.name.toLowerCase()));
  const open = found.flatMap((part, i) => (part ? [] : [i]));
  if (open.length === 1 && left.length === 1) found[open[0]] = left[0];
  return found.map((part, i) => {
    if (part) return part;
    throw new CgesError(
      'DATA_SHAPE',
      `no data for the input "${inputs[i].name}": the data has ${parts.map((p) => p.name).join(', ')}`,
      {
        file: dataset.path,
        value: inputs[i].name,
        hint: `give an NPZ file with one array per input: ${inputs.map((x) => x.name).join(', ')}`,
      },
    );
  });
}

/** Fits a part of the data to an input: order of axes, size, channels. */
export function fitPart(part: Part, input: ModelInput, preprocessing: Preprocessing, path: string): Fit {
  return part.kind === 'image'
    ? fitPicture(part, input, preprocessing, path)
    : fitTensor(part, input, preprocessing, path);
}

/** @returns every way in which an input can be read as a picture, the likelier one first. */
export function pictureForms(part: Part, input: ModelInput): PictureForm[] {
  const shape = [...input.shape];
  while (shape.length > 3 && shape[0] === 1) shape.shift();
  const own = part.kind === 'image' ? part : undefined;
  const open = (axis: number | null, size: number | undefined) => axis ?? (own?.varying ? OPEN_SIZE : size);
  const forms: PictureForm[] = [];
  const add = (channels: number | null | undefined, height: number | null, width: number | null, layout: Layout) => {
    const form = {
      channels: channels ?? own?.channels,
      height: open(height, own?.height),
      width: open(width, own?.width),
    };
    if (!isCount(form.channels) || !isCount(form.height) || !isCount(form.width) || ![1, 3, 4].includes(form.channels))
      return;
    const size = form as ImageSize;
    const lead = input.shape.length - shape.length;
    const axes =
      layout === 'NCHW' ? [size.channels, size.height, size.width] : [size.height, size.width, size.channels];
    const last = shape.length === 3 ? axes : shape.length === 2 ? [size.height, size.width] : [sizeOf(axes)];
    forms.push({ ...size, layout, shape: [...new Array<number>(lead).fill(1), ...last] });
  };
  if (shape.length === 3) {
    // An open axis may hold the channels only where no other one does.
    const known =
      shape[0] !== null && [1, 3, 4].includes(shape[0])
        ? 'NCHW'
        : shape[2] !== null && [1, 3, 4].includes(shape[2])
          ? 'NHWC'
          : undefined;
    if (shape[0] !== null || known !== 'NHWC') add(shape[0], shape[1], shape[2], 'NCHW');
    if (shape[2] !== null || known !== 'NCHW') add(shape[2], shape[0], shape[1], 'NHWC');
  } else if (shape.length === 2) add(1, shape[0], shape[1], 'NCHW');
  else if (shape.length === 1 && own && !own.varying) {
    const pixels = own.height * own.width;
    const channels = shape[0] === null ? own.channels : shape[0] / pixels;
    for (const layout of channels === 1 ? (['NCHW'] as const) : (['NCHW', 'NHWC'] as const))
      add(channels, own.height, own.width, layout);
  }
  return forms;
}

function fitPicture(
  part: ImagePart,
  input: ModelInput,
  { layout, channels: colours }: Preprocessing,
  path: string,
): Fit {
  const forms = pictureForms(part, input);
  const form = forms.find((f) => f.layout === layout) ?? forms[0];
  const own = `${part.height}×${part.width} ${colourName(part.channels)}${part.varying ? ' and other sizes' : ''}`;
  const mismatch = (hint: string) =>
    new CgesError(
      'DATA_SHAPE',
      `the input "${input.name}" takes [${shown(input.shape)}] per sample, the data holds pictures of ${own}`,
      {
        file: path,
        value: input.name,
        hint,
      },
    );
  if (!form) throw mismatch('give data that fits, or --input-shape for a model that leaves its shape open');
  const sameSize = part.height === form.height && part.width === form.width && !part.varying;
  if (part.dtype !== 'uint8' && (!sameSize || (part.channels !== form.channels && part.channels !== 1)))
    throw mismatch('arrays of numbers are not resized: give arrays of bytes (uint8) or of the right shape');

  const choices: string[] = [];
  if (!sameSize)
    choices.push(
      `the pictures (${own}) are scaled to ${form.height}×${form.width}: short side first, then the centre is cut out`,
    );
  if (part.channels > form.channels && form.channels === 1)
    choices.push('colour pictures are turned into grey ones: the model takes one channel');
  if (part.channels === 1 && form.channels > 1)
    choices.push(`grey pictures are repeated over the ${form.channels} channels that the model takes`);
  // Grey that is repeated is stored once; everything else has the channels of the input.
  const stored = part.channels === 1 ? 1 : form.channels;
  const source = part.at({ height: form.height, width: form.width, channels: stored });
  return {
    input,
    shape: form.shape,
    elements: sizeOf(form.shape),
    source,
    geometry: geometryOf(form, stored, part.order, colours === 'bgr'),
    choices,
  };
}

function fitTensor(part: TensorPart, input: ModelInput, { layout }: Preprocessing, path: string): Fit {
  const { elements } = part.source;
  const shape = closed(input.shape, part.shape, elements);
  if (!shape)
    throw new CgesError(
      'DATA_SHAPE',
      `the input "${input.name}" takes [${shown(input.shape)}] per sample, the data holds [${part.shape.join(', ')}]`,
      {
        file: path,
        value: input.name,
        hint:
          part.name === 'features'
            ? 'check which column is the label: --label-column'
            : 'give data of the shape that the model takes',
      },
    );
  const forms = pictureForms(part, { ...input, shape });
  const form = forms.find((f) => f.layout === layout) ?? forms[0];
  // Numbers lie as the model takes them: they are a picture's only for augmentation and for means by channel.
  const picture = form && form.height >= 8 && form.width >= 8 && sizeOf(form.shape) === elements;
  const order = form?.layout === 'NHWC' ? 'interleaved' : 'planar';
  return {
    input,
    shape,
    elements,
    source: part.source,
    geometry: picture ? geometryOf(form, form.channels, order, false) : undefined,
    choices: [],
  };
}

function geometryOf(form: PictureForm, stored: number, order: 'planar' | 'interleaved', reversed: boolean): Geometry {
  const { height, width, channels } = form;
  const planar = order === 'planar';
  const first = form.layout === 'NCHW';
  const planes = Array.from({ length: channels }, (_, c) => {
    const colour = reversed && c < 3 ? Math.min(2, channels - 1) - c : c;
    return Math.min(colour, stored - 1) * (planar ? height * width : 1);
  });
  return {
    height,
    width,
    channels,
    step: planar ? 1 : stored,
    row: planar ? width : width * stored,
    planes,
    outStep: first ? 1 : channels,
    outRow: first ? width : width * channels,
    outPlane: first ? height * width : 1,
  };
}

/** @returns the shape of an input with its open axes bound by the data, or undefined where they do not fit. */
function closed(
  shape: readonly (number | null)[],
  data: readonly number[],
  elements: number,
): readonly number[] | undefined {
  if (shape.length === data.length && shape.every((d, axis) => d === null || d === data[axis])) return data;
  const open = shape.filter((d) => d === null).length;
  const rest = sizeOf(shape.map((d) => d ?? 1));
  if (open === 0) return rest === elements ? (shape as readonly number[]) : undefined;
  if (open > 1 || rest === 0 || elements % rest !== 0) return undefined;
  return shape.map((d) => d ?? elements / rest);
}

function isCount(x: number | null | undefined): x is number {
  return typeof x === 'number' && Number.isInteger(x) && x > 0;
}

function shown(shape: readonly (number | null)[]): string {
  return shape.map((d) => d ?? '?').join(', ');
}

function colourName(channels: number): string {
  return channels === 1 ? 'grey' : channels === 3 ? 'RGB' : `${channels} channels`;
}
