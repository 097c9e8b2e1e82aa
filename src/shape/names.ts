import picomatch from 'picomatch';

/** Tells whether a name was asked for. */
export type NameMatcher = (name: string) => boolean;

/**
 * @returns a matcher for name patterns: `*` any part of a name (slashes and dots too), `?` one character, `{a,b}`, or
 * the exact name.
 */
export function nameMatcher(patterns: readonly string[] = []): NameMatcher {
  const exact = new Set(patterns);
  // `bash`: names of nodes hold slashes that mean nothing here.
  const globs = patterns
    .filter((p) => picomatch.scan(p).isGlob || p.includes('?'))
    .map((pattern) => picomatch(pattern, { bash: true, dot: true }));
  return (name) => exact.has(name) || globs.some((matches) => matches(name));
}
