import type { Dataset } from './dataset.js';
import { matchParts, pictureForms } from './fit.js';
import { asTheyAre, type Channels, type Layout, type ModelInput, type Preprocessing } from './preprocessing.js';
import { measure, type Statistics } from './statistics.js';

interface Known {
  readonly name: string;
  /** In units where white is 1, in the order red, green, blue. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const imageNet: Known = {
  name: 'ImageNet mean and deviation',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};
/** The first one divides by the mean deviation within a picture, the second by that of all pixels: both are in use. */
const cifar: readonly Known[] = [
  {
    name: 'CIFAR-10 mean and deviation (.2023 .1994 .2010)',
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
  },
  {
    name: 'CIFAR-10 mean and deviation (.2470 .2435 .2616)',
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.247, 0.2435, 0.2616],
  },
];
const mnist: Known = { name: 'MNIST mean and deviation', mean: [0.1307], std: [0.3081] };
const simple: readonly Known[] = [
  { name: '0…1', mean: [0], std: [1] },
  { name: '0…255', mean: [0], std: [1 / 255] },
  { name: '−1…1', mean: [0.5], std: [0.5] },
];

/**
 * The common ways of preparing such data for such an input, the simplest first.
 * @param indices the samples that may be looked at: those to train on
 */
export async function candidates(
  dataset: Dataset,
  input: ModelInput,
  options: { readonly indices?: ArrayLike<number>; readonly seed?: number } = {},
): Promise<Preprocessing[]> {
  const statistics = await measure(dataset, input, options);
  if (!statistics.picture || statistics.full === undefined) return ofNumbers(statistics);
  const { full, fit } = statistics;
  const channels = fit.geometry!.channels;
  const part = matchParts(dataset, [input])[0];
  // Arrays of numbers lie as the model takes them; only pictures have a layout of their own to be brought from.
  const layouts: Layout[] =
    part.kind === 'image' ? [...new Set(pictureForms(part, input).map((f) => f.layout))] : ['NCHW'];
  const colours: Channels[] =
    channels === 1 ? ['grey'] : channels >= 3 && part.kind === 'image' ? ['rgb', 'bgr'] : ['rgb'];
  const own: Known = {
    name: "the data's own mean and deviation",
    mean: statistics.mean.map((m) => m / full),
    std: statistics.deviation.map((d) => (d || 1) / full),
  };
  const small = fit.geometry!.height <= 64;
  const known = [...simple, ...(channels >= 3 ? [imageNet, ...(small ? cifar : [])] : [mnist]), own];
  const found: Preprocessing[] = [];
  for (const layout of layouts)
    for (const order of colours) {
      for (const one of known) {
        // The deviation of all bytes is no blue-first convention; neither are CIFAR's.
        if (order === 'bgr' && (cifar.includes(one) || one === own)) continue;
        found.push(pictures(one, full, channels, layout, order));
      }
      if (order === 'bgr') found.push(caffe(full, channels, layout));
    }
  if (channels === 1)
    for (const one of [simple[0], simple[1], mnist])
      found.push(inverted(pictures(one, full, 1, layouts[0], 'grey'), full));
  return unique(found);
}

function pictures(one: Known, full: number, channels: number, layout: Layout, order: Channels): Preprocessing {
  // 0…255 is written with a scale, so that users read a factor and no deviation.
  const bytes = one.name === '0…255';
  return {
    scale: bytes ? 255 / full : 1 / full,
    mean: inOrder(one.mean, channels, order),
    std: bytes ? [1] : inOrder(one.std, channels, order),
    layout,
    channels: order,
    name: one.name,
  };
}

/** Blue first, minus the mean of ImageNet, not divided: the models of Caffe. */
function caffe(full: number, channels: number, layout: Layout): Preprocessing {
  const mean = inOrder([123.68, 116.78, 103.94], channels, 'bgr');
  return { scale: 255 / full, mean, std: [1], layout, channels: 'bgr', name: 'Caffe mean' };
}

/** White for black: (full − raw), by a negative scale. */
function inverted(one: Preprocessing, full: number): Preprocessing {
  return { ...one, scale: -one.scale, mean: one.mean.map((m) => m - one.scale * full), name: `${one.name}, inverted` };
}

function inOrder(values: readonly number[], channels: number, order: Channels): readonly number[] {
  if (values.length === 1) return values;
  const colours = order === 'bgr' ? [...values].reverse() : values;
  // A fourth channel is transparency: it keeps its range.
  return Array.from({ length: channels }, (_, c) => colours[Math.min(c, colours.length - 1)]);
}

function ofNumbers({ fit, mean, deviation, least, most, full, picture }: Statistics): Preprocessing[] {
  const found: Preprocessing[] = [asTheyAre];
  if (full === 255) {
    found.push({ ...asTheyAre, scale: 1 / 255, name: 'features 0…1' });
    found.push({ ...asTheyAre, scale: 1 / 255, mean: [0.5], std: [0.5], name: 'features −1…1' });
  } else if (full === 1) found.push({ ...asTheyAre, mean: [0.5], std: [0.5], name: 'features −1…1' });
  else if (most > least) {
    const name = 'features brought to 0…1 together';
    found.push({ ...asTheyAre, mean: [least], std: [most - least], name });
  }
  const whole = picture ? fit.geometry!.channels : fit.source.elements;
  if (mean.length === whole)
    found.push({ ...asTheyAre, mean, std: deviation.map((d) => d || 1), name: 'features standardised one by one' });
  return found;
}

function unique(list: readonly Preprocessing[]): Preprocessing[] {
  const seen = new Set<string>();
  return list.filter((p) => {
    const key = JSON.stringify({ ...p, name: undefined });
    return !seen.has(key) && seen.add(key);
  });
}
