import sharp from 'sharp';
import { GLYPH_SIZE, glyphNames } from '../models/index.js';
import { openData } from '../src/data/open.js';
import { prepare } from '../src/data/prepare.js';
import { preprocessingOf } from '../src/data/preprocessing.js';
import { readModel } from '../src/onnx/read.js';
import { formatBytes, formatCount, formatMetric, formatMs } from '../src/report/format.js';
import type { LayerCut, ModelFacts, Report } from '../src/report/schema.js';
import { modelInputs } from '../src/samples.js';
import { analyse } from '../src/shape/analyse.js';
import { evaluate } from '../src/validate/accuracy.js';
import { openJudged } from '../src/validate/measure.js';

export interface SheetOptions {
  readonly report: Report;
  /** Folder of the glyphs, and the two models. */
  readonly data: string;
  readonly before: string;
  readonly after: string;
  /** The PNG file that is written. */
  readonly picture: string;
}

/** A glyph of the test set with what the two models take it for. */
interface Shown {
  readonly pixels: Uint8Array;
  readonly label: number;
  readonly before: number;
  readonly after: number;
}

const COLUMNS = 8;
const ROWS = 5;
const CELL = { width: 92, height: 112, picture: 76 };
const PANEL = 430;
const MARGIN = 28;
const HEAD = 64;
/** Colours of what was and what is. */
const BEFORE = '#cbd2d9';
const AFTER = '#0b6e4f';

/** Draws test glyphs with both models' predictions, the widths of the layers before and after, and the figures. */
export async function drawSheet(options: SheetOptions): Promise<void> {
  const shown = await predictions(options);
  const width = MARGIN * 3 + COLUMNS * CELL.width + PANEL;
  const height = MARGIN * 2 + HEAD + ROWS * CELL.height;
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="DejaVu Sans, Arial, Helvetica, sans-serif" font-size="12" fill="#1f2933">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN, MARGIN + 16, 'cges-compress: glyphs, before and after', { size: 20, weight: 'bold' }),
    text(
      MARGIN,
      MARGIN + 40,
      'under each glyph: what the small model takes it for; red: wrong; orange: unlike the original',
      {
        fill: '#52606d',
      },
    ),
    `<g transform="translate(${MARGIN} ${MARGIN + HEAD})">${await Promise.all(shown.map(glyphCell)).then((c) => c.join(''))}</g>`,
    `<g transform="translate(${MARGIN * 2 + COLUMNS * CELL.width} ${MARGIN + HEAD})">${panel(options.report)}</g>`,
    '</svg>',
  ];
  await sharp(Buffer.from(svg.join('\n')))
    .png()
    .toFile(options.picture);
}

/** @returns as many test glyphs as the sheet holds, those first on which the models differ or the small one errs. */
async function predictions({ data, before, after }: SheetOptions): Promise<Shown[]> {
  const found = await openData(data);
  const test = found.test ?? found.train;
  const indices = Uint32Array.from({ length: test.length }, (_, i) => i);
  const [a, b] = await Promise.all(
    [before, after].map(async (path) => {
      const file = readModel(path);
      const inputs = modelInputs(await analyse(file));
      const { session, output } = await openJudged(file);
      try {
        const samples = prepare(test, inputs, preprocessingOf({ scale: 1 / 255 }, true));
        return (await evaluate(session, samples, indices, { loss: 'cross-entropy', output })).predictions;
      } finally {
        await session.close();
      }
    }),
  );
  const labels = test.labels ?? new Int32Array(test.length);
  const picture = test.sample[0];
  if (picture.kind !== 'image') throw new Error('the glyphs are no pictures');
  const source = picture.at({ height: GLYPH_SIZE, width: GLYPH_SIZE, channels: 1 });
  const remarkable = [...indices].filter((i) => b[i] !== a[i] || b[i] !== labels[i]).slice(0, COLUMNS);
  const others = [...indices].filter((i) => !remarkable.includes(i));
  const chosen = [...others.slice(0, COLUMNS * ROWS - remarkable.length), ...remarkable];
  const { data: raw, offsets } = await source.read(chosen);
  return chosen.map((i, k) => ({
    pixels: Uint8Array.from(raw.subarray(offsets[k], offsets[k] + GLYPH_SIZE ** 2)),
    label: labels[i],
    before: a[i],
    after: b[i],
  }));
}

async function glyphCell({ pixels, label, before, after }: Shown, k: number): Promise<string> {
  const raw = { width: GLYPH_SIZE, height: GLYPH_SIZE, channels: 1 } as const;
  const png = await sharp(pixels, { raw }).png().toBuffer();
  const [x, y] = [(k % COLUMNS) * CELL.width, Math.floor(k / COLUMNS) * CELL.height];
  const colour = after !== label ? '#c62828' : after !== before ? '#b45309' : '#1f2933';
  const verdict = after === before || after === label ? glyphNames[after] : `${glyphNames[after]}?`;
  return [
    `<image x="${x}" y="${y}" width="${CELL.picture}" height="${CELL.picture}" href="data:image/png;base64,${png.toString('base64')}"/>`,
    text(x + CELL.picture / 2, y + CELL.picture + 15, verdict, { anchor: 'middle', fill: colour }),
    after === before
      ? ''
      : text(x + CELL.picture / 2, y + CELL.picture + 28, `was ${glyphNames[before]}`, {
          anchor: 'middle',
          fill: '#7b8794',
          size: 10,
        }),
  ].join('');
}

/** Bars of the layers' widths, and the figures below them. */
function panel({ layers, before, after }: Report): string {
  const parts = [text(0, -14, 'channels and units of every layer', { weight: 'bold', size: 14 })];
  const most = Math.max(...layers.map((l) => l.before));
  layers.forEach((layer, i) => {
    parts.push(bars(layer, i * 62, most));
  });
  const figures: [string, (facts: ModelFacts) => string][] = [
    ['parameters', (f) => formatCount(f.params)],
    ['MACs', (f) => formatCount(f.macs)],
    ['size', (f) => formatBytes(f.bytes)],
    ['latency p50', (f) => formatMs(f.latencyMs.p50)],
    ['accuracy', (f) => (f.metric ? formatMetric(f.metric.name, f.metric.value) : '')],
  ];
  const top = layers.length * 62 + 30;
  for (const [x, when, colour] of [
    [230, 'before', BEFORE],
    [340, 'after', AFTER],
  ] as const) {
    parts.push(`<rect x="${x - 62}" y="${top - 10}" width="12" height="12" fill="${colour}"/>`);
    parts.push(text(x, top, when, { anchor: 'end', fill: '#52606d' }));
  }
  figures.forEach(([name, show], i) => {
    const y = top + 30 + i * 28;
    parts.push(`<line x1="0" x2="${PANEL}" y1="${y - 19}" y2="${y - 19}" stroke="#e4e7eb"/>`);
    parts.push(text(0, y, name, { size: 14 }));
    parts.push(text(230, y, show(before), { anchor: 'end', size: 14 }));
    parts.push(text(340, y, show(after), { anchor: 'end', size: 14, weight: 'bold' }));
    const gain = i < 4 ? gainOf(i, before, after) : '';
    parts.push(text(PANEL, y, gain, { anchor: 'end', fill: AFTER }));
  });
  return parts.join('');
}

function gainOf(i: number, before: ModelFacts, after: ModelFacts): string {
  const of = (f: ModelFacts) => [f.params, f.macs, f.bytes, f.latencyMs.p50][i];
  const ratio = of(before) / of(after);
  return `÷ ${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}`;
}

function bars({ family, before, after }: LayerCut, y: number, most: number): string {
  const length = (n: number) => Math.max(2, (n / most) * (PANEL - 60));
  const bar = (n: number, top: number, colour: string) =>
    `<rect x="0" y="${top}" width="${length(n).toFixed(1)}" height="13" fill="${colour}"/>${text(length(n) + 6, top + 11, String(n), {})}`;
  return text(0, y + 12, family, { fill: '#52606d' }) + bar(before, y + 18, BEFORE) + bar(after, y + 33, AFTER);
}

interface Style {
  readonly size?: number;
  readonly weight?: 'bold';
  readonly anchor?: 'middle' | 'end';
  readonly fill?: string;
}

function text(x: number, y: number, content: string, { size, weight, anchor, fill }: Style): string {
  const style = [
    size && `font-size="${size}"`,
    weight && `font-weight="${weight}"`,
    anchor && `text-anchor="${anchor}"`,
    fill && `fill="${fill}"`,
  ];
  const escaped = content.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<text x="${x}" y="${y}" ${style.filter(Boolean).join(' ')}>${escaped}</text>`;
}
