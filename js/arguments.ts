/** Kinds of arguments; a trailing `?` also admits null and undefined. */
export type Kind = 'text' | 'flag' | 'count' | 'object' | 'list';
export type Argument = readonly [name: string, value: unknown, kind: Kind | `${Kind}?`];

const MAX_COUNT = 0xffffffff;

const CHECKS: Record<Kind, readonly [string, (value: unknown) => boolean]> = {
  text: ['a string', (value) => typeof value === 'string'],
  flag: ['a boolean', (value) => typeof value === 'boolean'],
  count: [
    `a whole number from 0 to ${MAX_COUNT}`,
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_COUNT,
  ],
  object: ['an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value)],
  list: ['an array', (value) => Array.isArray(value)],
};

/** The first thing that is wrong with the types of a call's arguments, as a sentence. */
export function findMistake(args: readonly Argument[]): string | undefined {
  for (const [name, value, kind] of args) {
    const optional = kind.endsWith('?');
    if (optional && (value === null || value === undefined)) continue;
    const [expected, fits] = CHECKS[(optional ? kind.slice(0, -1) : kind) as Kind];
    if (!fits(value)) return `${name} must be ${expected}, got ${describe(value)}`;
  }
  return undefined;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'number' ? `the number ${value}` : `a value of type ${typeof value}`;
}
