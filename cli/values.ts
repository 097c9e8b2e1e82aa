import { InvalidArgumentError } from 'commander';

/** Parsers of option values; what they throw, commander prints beside the option's name. */

export function positiveInteger(text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(n) || n < 1) throw bad('a whole number from 1 is expected');
  return n;
}

export function wholeNumber(text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(n)) throw bad('a whole number from 0 is expected');
  return n;
}

export function seedNumber(text: string): number {
  const n = wholeNumber(text);
  if (n >= 2 ** 32) throw bad('a whole number below 4294967296 is expected');
  return n;
}

export function number(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !Number.isFinite(n)) throw bad('a number is expected, such as 0.001 or 1e-3');
  return n;
}

export function positiveNumber(text: string): number {
  const n = number(text);
  if (n <= 0) throw bad('a number above 0 is expected, such as 0.001 or 1e-3');
  return n;
}

export function numberAtLeastZero(text: string): number {
  const n = number(text);
  if (n < 0) throw bad('a number from 0 is expected');
  return n;
}

/** Scales are often written as fractions: 1/255. */
export function scaleNumber(text: string): number {
  const parts = text.split('/');
  if (parts.length > 2) throw bad('a number or a fraction is expected, such as 0.00392 or 1/255');
  const [above, below] = [number(parts[0]), parts.length === 2 ? positiveNumber(parts[1]) : 1];
  if (above === 0) throw bad('a scale of 0 would erase the data');
  return above / below;
}

/** A share of something, of which there is some. */
export function share(text: string): number {
  const n = number(text);
  if (n <= 0 || n > 1) throw bad('a number above 0, up to 1, is expected, such as 0.3');
  return n;
}

/** The paper's m. */
export function upToHalf(text: string): number {
  const n = number(text);
  if (n < 0 || n > 0.5) throw bad('a number between 0 and 0.5 is expected');
  return n;
}

/** One number, or one per channel: 0.485,0.456,0.406. */
export function numberList(text: string): number[] {
  return text.split(',').map((part) => {
    const n = Number(part);
    if (part.trim() === '' || !Number.isFinite(n)) {
      throw bad('numbers with commas between them are expected, such as 0.485,0.456,0.406');
    }
    return n;
  });
}

export function positiveNumberList(text: string): number[] {
  const list = numberList(text);
  if (list.some((n) => n <= 0)) throw bad('every number must be above 0');
  return list;
}

/** @returns seconds: 90s, 20m, 1h, 1h30m; a bare number would be read differently by everyone. */
export function duration(text: string): number {
  const match = /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text.trim().toLowerCase());
  const [hours, minutes, seconds] = (match ?? []).slice(1).map((part) => Number(part ?? 0));
  const total = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
  if (!(total > 0)) throw bad('a time is expected, such as 90s, 20m, 1h or 1h30m');
  return total;
}

/** A column's name, or its number from 0 (negative ones count from the end). */
export function column(text: string): string | number {
  if (text.trim() === '') throw bad("a column's name or number is expected");
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** Collects `1,3,224,224`, `1x3x224x224` or `name:1,3,224,224`; a single unnamed shape is for the only input. */
export function shape(text: string, previous?: Shapes): Shapes {
  const colon = text.lastIndexOf(':');
  const name = colon < 0 ? undefined : text.slice(0, colon);
  const dims = text
    .slice(colon + 1)
    .split(/[,x]/)
    .map((part) => Number(part.trim() || 'none'));
  if (dims.some((d) => !Number.isSafeInteger(d) || d < 1) || name === '') {
    throw bad('a shape is expected, such as 1,3,224,224 or image:1,3,224,224');
  }
  if (name === undefined) {
    if (previous !== undefined) throw bad('several inputs need their names, such as image:1,3,224,224');
    return dims;
  }
  if (previous !== undefined && isUnnamed(previous)) {
    throw bad('several inputs need their names, such as image:1,3,224,224');
  }
  return { ...previous, [name]: dims };
}

type Shapes = readonly number[] | Readonly<Record<string, readonly number[]>>;

function isUnnamed(shapes: Shapes): shapes is readonly number[] {
  return Array.isArray(shapes);
}

/** Collects name patterns: several at once with commas between them, or the option given again. */
export function patterns(text: string, previous: readonly string[] = []): string[] {
  const added = text.split(',').map((part) => part.trim());
  if (added.includes('')) throw bad('name patterns with commas between them are expected, such as "features.*,*.bias"');
  return [...previous, ...added];
}

function bad(expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`${expected}.`);
}
