/** Kinds of primitive arguments; a trailing `?` also admits null and undefined. */
export type Kind = 'text' | 'flag' | 'count' | 'object' | 'list';
/** Checks of the fields of an object. */
export interface Shape {
  readonly [field: string]: Check;
}
/** Check of a value: its kind, the shape of an object, or one of the variants below. */
export type Check = Kind | `${Kind}?` | Shape | Variant;
export type Argument = readonly [name: string, value: unknown, check: Check];

/** A check that is made of others. */
class Variant {
  constructor(readonly find: (name: string, value: unknown) => string | undefined) {}
}

const isMissing = (value: unknown) => value === null || value === undefined;

/** Also admits null and undefined. */
export const optional = (check: Check): Check =>
  new Variant((name, value) => (isMissing(value) ? undefined : mistakeIn(name, value, check)));

/** Also admits null and undefined, for the object and for each of its primitive fields. */
export function lenient(shape: Shape): Check {
  const fields = Object.entries(shape).map(([name, check]): [string, Check] => [name, optional(check)]);
  return optional(Object.fromEntries(fields));
}

/** An array whose items pass the check. */
export const list = (items: Check): Check =>
  new Variant((name, value) => {
    const mistake = mistakeIn(name, value, 'list');
    if (mistake !== undefined) return mistake;
    return firstMistake((value as unknown[]).map((item, index) => [`${name}[${index}]`, item, items]));
  });

/** The number of a preset, or an object of that shape. */
export const presetOr = (shape: Shape): Check =>
  new Variant((name, value) => (typeof value === 'number' ? undefined : mistakeIn(name, value, shape)));

const MAX_COUNT = 0xffffffff;

const KINDS: Record<Kind, readonly [string, (value: unknown) => boolean]> = {
  text: ['a string', (value) => typeof value === 'string'],
  flag: ['a boolean', (value) => typeof value === 'boolean'],
  count: [
    `a whole number from 0 to ${MAX_COUNT}`,
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_COUNT,
  ],
  object: ['an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value)],
  list: ['an array', (value) => Array.isArray(value)],
};

/** The first mistake in the types of a call's arguments, as a sentence. */
export function firstMistake(args: readonly Argument[]): string | undefined {
  for (const [name, value, check] of args) {
    const mistake = mistakeIn(name, value, check);
    if (mistake !== undefined) return mistake;
  }
  return undefined;
}

function mistakeIn(name: string, value: unknown, check: Check): string | undefined {
  if (check instanceof Variant) return check.find(name, value);
  if (typeof check === 'string') return mistakeOfKind(name, value, check);
  const fields = Object.entries(check);
  return (
    mistakeOfKind(name, value, 'object') ??
    firstMistake(fields.map(([field, it]) => [`${name}.${field}`, (value as Record<string, unknown>)[field], it]))
  );
}

function mistakeOfKind(name: string, value: unknown, kind: Kind | `${Kind}?`): string | undefined {
  const isOptional = kind.endsWith('?');
  if (isOptional && isMissing(value)) return undefined;
  const [expected, fits] = KINDS[(isOptional ? kind.slice(0, -1) : kind) as Kind];
  return fits(value) ? undefined : `${name} must be ${expected}, got ${describe(value)}`;
}

function describe(value: unknown): string {
  if (isMissing(value)) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'number' ? `the number ${value}` : `a value of type ${typeof value}`;
}
