import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CgesError } from '../errors.js';
import { codeOf } from './read.js';

/** A file that is being written beside its target, under a temporary name. */
export interface Draft {
  readonly target: string;
  readonly temporary: string;
}

/**
 * Writes files so that they appear together, complete, or not at all: each is written under a temporary name in its
 * own folder (a rename across devices would be a copy), flushed, and renamed at the end, in the given order. When a
 * rename fails, those before it are undone.
 *
 * Throws OUTPUT_UNWRITABLE; errors of `fill` that are no file errors come through as they are. No temporary file stays.
 */
export async function writeTogether(
  files: readonly { readonly path: string; readonly fill: (file: FileHandle) => Promise<void> }[],
  rename: Rename = renameOver,
): Promise<void> {
  const drafts: Draft[] = files.map(({ path }) => ({ target: resolve(path), temporary: besides(path, 'tmp') }));
  try {
    for (const [i, { target, temporary }] of drafts.entries()) {
      if ((await isThere(target)) === 'folder') throw unwritable(target, 'it is a folder');
      await fillFile(temporary, files[i].fill).catch((cause) => rethrow(cause, target));
    }
    await publish(drafts, rename);
  } finally {
    // What cannot be removed was never made, or is not worth hiding the error for.
    for (const { temporary } of drafts) await rm(temporary, { force: true }).catch(() => {});
  }
}

/** Writes one file atomically. */
export function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  return writeTogether([{ path, fill: (file) => writeAll(file, bytes) }]);
}

/** Throws OUTPUT_UNWRITABLE where a file could not be made at this path: to be asked before long work, not after. */
export async function checkWritable(path: string): Promise<void> {
  const target = resolve(path);
  if ((await isThere(target)) === 'folder') throw unwritable(target, 'it is a folder');
  const probe = besides(path, 'tmp');
  await fillFile(probe, async () => {}).catch((cause) => rethrow(cause, target));
  await rm(probe, { force: true });
}

/** Writes all bytes: one call of the operating system may take fewer. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(bytes.length - at, 2 ** 30));
    at += bytesWritten;
  }
}

async function fillFile(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function publish(drafts: readonly Draft[], rename: Rename): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  const backups: string[] = [];
  try {
    for (const [i, { target, temporary }] of drafts.entries()) {
      // Only what may have to be undone needs a way back: the last rename needs none.
      const backup = besides(target, 'old');
      const isLast = i === drafts.length - 1;
      const hadOne = !isLast && (await isThere(target)) !== undefined;
      try {
        if (hadOne) {
          await rename(target, backup);
          backups.push(backup);
          undo.push(() => rename(backup, target));
        }
        await rename(temporary, target);
        if (!isLast && !hadOne) undo.push(() => rm(target, { force: true }));
      } catch (cause) {
        rethrow(cause, target);
      }
    }
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
  for (const backup of backups) await rm(backup, { force: true }).catch(() => {});
}

export type Rename = (from: string, to: string) => Promise<void>;

/** Codes with which Windows refuses to replace a file that a virus scanner or an indexer holds for a moment. */
const passing = new Set(['EPERM', 'EACCES', 'EBUSY']);

/** Renames over an existing file, patiently where a lock may pass (`pauses` in ms). */
export async function renameOver(
  from: string,
  to: string,
  attempt: Rename = rename,
  pauses: readonly number[] = process.platform === 'win32' ? [20, 50, 100, 200, 400, 800] : [],
): Promise<void> {
  for (const pause of pauses) {
    try {
      return await attempt(from, to);
    } catch (error) {
      if (!passing.has(codeOf(error))) throw error;
      await wait(pause);
    }
  }
  return attempt(from, to);
}

function besides(path: string, kind: 'tmp' | 'old'): string {
  const target = resolve(path);
  return join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.${kind}`);
}

async function isThere(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

const reasons: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOENT: ['its folder does not exist', 'create the folder first'],
  ENOTDIR: ['its folder is a file', 'give another path'],
  EACCES: ['access is denied', 'give a path that you may write to, or close the program that holds the file'],
  EPERM: ['access is denied', 'give a path that you may write to, or close the program that holds the file'],
  EBUSY: ['another program holds it', 'close the program that holds the file'],
  EROFS: ['the disk is read-only', 'give a path on another disk'],
  ENOSPC: ['the disk is full', 'make room, or give a path on another disk'],
  EDQUOT: ['the quota is used up', 'make room, or give a path on another disk'],
  EISDIR: ['it is a folder', 'give the path of a file'],
  ENAMETOOLONG: ['the name is too long', 'give a shorter one'],
};

function rethrow(cause: unknown, target: string): never {
  const code = codeOf(cause);
  if (cause instanceof CgesError || code === 'unknown') throw cause;
  const [what, hint] = reasons[code] ?? [`the system says ${code}`, 'give another path'];
  throw unwritable(target, what, hint, cause);
}

function unwritable(file: string, what: string, hint = 'give the path of a file', cause?: unknown): CgesError {
  return new CgesError('OUTPUT_UNWRITABLE', `${file} cannot be written: ${what}`, { file, hint, cause });
}
