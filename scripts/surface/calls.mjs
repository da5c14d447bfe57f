// The generated base class of the engine: each call checks its arguments and is forwarded to the native part or to a part.
import { BANNER, ENUMS, OPTIONAL, OWN_FIELDS, OWN_TYPES, STRUCTS, callOf, calls, indented, surface, typeOf } from './description.mjs';

const PRIMITIVES = { string: 'text', boolean: 'flag', number: 'count' };
/** What `null` becomes for the native part, by kind. */
const EMPTY = { text: "''", count: '0', flag: 'false' };

/** `{check, isPrimitive}` of a type: the expression of the check that its values have to pass. */
function checkOf(type) {
  const parts = type.split(' | ').filter((it) => it !== 'null');
  const [first, second] = parts;
  if (second !== undefined && STRUCTS.has(second)) return { check: `presetOr(SHAPES.${second})` };
  if (first.endsWith('[]')) return { check: `list(${checkOf(first.slice(0, -2)).check})` };
  if (STRUCTS.has(first)) return { check: `SHAPES.${first}` };
  const primitive = ENUMS.has(first) ? 'count' : PRIMITIVES[first];
  return { check: `'${primitive ?? 'object'}'`, primitive: primitive ?? 'object' };
}

function optional({ check, primitive }, isNullable) {
  if (primitive) return `'${primitive}?'`;
  return isNullable ? `lenient(${check})` : `optional(${check})`;
}

/** What the generator needs of a parameter. */
function parameterOf(method, call, it) {
  const type = OWN_TYPES[`${method}.${it.name}`] ?? typeOf(it.type);
  const isNullable = call?.nullable?.includes(it.name) ?? false;
  const preset = call?.defaults?.[it.name] ?? (it.type === 'ZegoPublishChannel' ? 0 : undefined);
  const isOptional = preset === undefined && (Boolean(it.optional) || OPTIONAL.has(`${method}.${it.name}`));
  const kind = checkOf(it.type);
  const admitsNull = isNullable || isOptional || (call?.by === 'nothing' && it.optional);
  const nullType = admitsNull && !type.endsWith('| null') ? `${type} | null` : type;
  let declaration = `${it.name}${isOptional ? '?' : ''}: ${nullType}`;
  if (preset !== undefined) declaration = `${it.name}: ${nullType} = ${preset}`;
  let value = it.name;
  if (isNullable && kind.primitive) value = `${it.name} ?? ${EMPTY[kind.primitive]}`;
  else if (isOptional && kind.primitive) value = `${it.name} ?? undefined`;
  return { name: it.name, declaration, check: `['${it.name}', ${it.name}, ${admitsNull ? optional(kind, isNullable) : kind.check}]`, value };
}

const wrapped = (items) => {
  const line = `[${items.join(', ')}]`;
  return line.length <= 90 ? line : `[\n${items.map((it) => `      ${it},\n`).join('')}    ]`;
};

function resultType(it, call) {
  if (it.returns.startsWith('Promise<Record')) return it.name === 'createEngine' || it.name === 'init' ? 'Promise<void>' : 'Promise<Answer>';
  if (it.returns === 'ZegoScreenCaptureSource') return 'ScreenCaptureSource | null';
  if (call === undefined && it.name.startsWith('create')) return 'null';
  return typeOf(it.returns);
}

/** The kind of value that a method that is not built returns. */
function answerOf({ name, returns }) {
  if (returns.startsWith('Promise')) return 'promise';
  if (name.startsWith('create')) return 'object';
  return returns === 'number' ? 'number' : 'nothing';
}

function missingMethod(it) {
  const answer = answerOf(it);
  const call = `this.parts.missing.answer('${it.name}', '${answer}', args)`;
  const body = answer === 'nothing' ? `${call};` : `return ${call} as ${resultType(it)};`;
  return `${it.name}(...args: unknown[]): ${resultType(it)} {\n  ${body}\n}\n`;
}

function builtMethod(it, call) {
  const parameters = it.params.map((param) => parameterOf(it.name, call, param));
  const result = resultType(it, call);
  const head = `${it.name}(${parameters.map(({ declaration }) => declaration).join(', ')}): ${result}`;
  if (call.by === 'class') return `abstract ${head.replace(/ = \d+/g, '').replace(/channel:/, 'channel?:')};\n`;
  const checks = wrapped(parameters.map(({ check }) => check));
  if (call.by === 'nothing') return `${head} {\n  this.calls.run('${it.name}', ${checks}, () => undefined);\n}\n`;
  const isPromise = it.returns.startsWith('Promise');
  const values = parameters.map(({ value }) => value);
  const isState = call.by === 'state';
  const request = isPromise ? ['native', 'request'] : isState ? [] : ['native'];
  const target =
    call.by === 'native'
      ? `native.${it.name}(${[...values, ...(isPromise ? ['request'] : [])].join(', ')})`
      : `this.parts.${call.part}.${it.name}(${[...request, ...values].join(', ')})`;
  const args = [`'${it.name}'`, checks, `(${request.join(', ')}) => ${target}`];
  const line = args.join(', ');
  const isLong = line.length > 90 || line.includes('\n');
  const list = isLong ? `\n${args.map((arg) => `    ${arg},\n`).join('')}  ` : line;
  const run = `this.calls.${isPromise ? 'request' : 'run'}(${list})`;
  if (it.returns === 'void') return `${head} {\n  ${run};\n}\n`;
  const fallback = isPromise || call.else === undefined ? '' : ` ?? ${valueText(call.else)}`;
  return `${head} {\n  return ${run}${fallback};\n}\n`;
}

const valueText = (value) => JSON.stringify(value).replace(/"(\w+)":/g, ' $1: ').replaceAll('"', "'").replace(/}$/, ' }').replace('{ }', '{}');

export function engineCallsSource() {
  const methods = surface.methods.map((it) => {
    const call = callOf(it.name);
    return call ? builtMethod(it, call) : missingMethod(it);
  });
  const text = methods.join('\n');
  const helpers = ['lenient', 'list', 'optional', 'presetOr'].filter((name) => text.includes(`${name}(`));
  const defined = [...ENUMS, ...STRUCTS.keys()].filter((name) => new RegExp(`(: |\\| |<)${name}\\b`).test(text)).sort();
  const types = text.replace(/\bZegoScreenCaptureSource\b/g, 'ScreenCaptureSource');
  return `${BANNER}
import { EventEmitter } from 'events';
import type {
${defined.map((name) => `  ${name},\n`).join('')}} from '../../ZegoExpressDefines';
import { ${helpers.join(', ')} } from '../arguments';
import type { Calls } from '../calls';
import type { Parts } from '../parts';
import type { Answer } from '../requests';
import type { ZegoScreenCaptureSource as ScreenCaptureSource } from '../screen_capture_source';
import { SHAPES } from './shapes';

/** The calls of the engine: each checks its arguments and is forwarded to the native part or to a part of the engine. */
export abstract class EngineCalls extends EventEmitter {
  protected abstract readonly calls: Calls;
  protected abstract readonly parts: Parts;

${indented(types, '  ')}}
`;
}

/** Structs that arguments contain, those that other structs need first. */
function usedStructs() {
  const used = new Set();
  const use = (type) => {
    for (const name of type.match(/\w+/g) ?? []) {
      if (!STRUCTS.has(name) || used.has(name)) continue;
      for (const field of checkedFields(name)) use(field.type);
      used.add(name);
    }
  };
  for (const it of surface.methods) if (callOf(it.name)) for (const param of it.params) use(param.type);
  for (const it of surface.classes) for (const method of it.methods) for (const param of method.params) use(param.type);
  return [...used];
}

function checkedFields(struct) {
  const skipped = [...(calls.ignoredFields[struct] ?? []), ...(calls.uncheckedFields[struct] ?? [])];
  const fields = STRUCTS.get(struct).fields.filter(({ name }) => !skipped.includes(name));
  return [...fields, ...(OWN_FIELDS[struct] ?? []).map((it) => ({ ...it, optional: true }))];
}

export function shapesSource() {
  const shapes = usedStructs().map((struct) => {
    const fields = checkedFields(struct).map((it) => {
      const kind = it.type.startsWith('Record') ? { primitive: 'object', check: "'object'" } : checkOf(it.type);
      const check = (it.optional ? optional(kind) : kind.check).replace(/SHAPES\.(\w+)/g, '$1');
      return `  ${it.name}: ${check},\n`;
    });
    return `const ${struct}: Shape = {\n${fields.join('')}};\n`;
  });
  const text = shapes.join('');
  const helpers = ['list', 'optional'].filter((name) => text.includes(`${name}(`));
  const ignored = Object.entries(calls.ignoredFields).map(
    ([struct, fields]) => `  ${struct}: [\n${fields.map((name) => `    '${name}',\n`).join('')}  ],\n`,
  );
  return `${BANNER}
import { ${[...helpers, 'type Shape'].join(', ')} } from '../arguments';

${text}
/** Fields of the structs in arguments, with the checks of their values. */
export const SHAPES = { ${usedStructs().join(', ')} };

/** Fields of configurations that the vendor's cloud implements and a self-hosted server does not. */
export const IGNORED_FIELDS = {
${ignored.join('')}} as const;
`;
}
