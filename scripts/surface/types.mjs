// The package's type declarations, with documentation.
import { BANNER, OPTIONAL, OWN_FIELDS, OWN_TYPES, about, callOf, details, indented, surface, typeOf } from './description.mjs';

/** Events with an argument that is not an object of the described fields. */
const OWN_EVENTS = {
  onDebugError: '{ errorCode: number; funcName: string; info: string; errorInfo: string }',
  onLocalCaptureVideoData: 'ZegoVideoFrameObject',
  onRemotePlayVideoData: 'ZegoVideoFrameObject',
};
const FIELD_TEXTS = {
  'ZegoView.canvas':
    'While the view is on, its `width` and `height` are its box in device pixels, afterwards those of the application. ' +
    'A canvas with a WebGL context is drawn by that context.',
  'ZegoView.preserveDrawingBuffer': 'Without an effect: a canvas can always be read, except one with a WebGL context of the application.',
};
/** Types of the fields that a promise resolves with. */
const RESOLVED = { errorCode: 'number', messageID: 'number' };

/** A documentation comment of those lines, or an empty text. */
function comment(lines) {
  const texts = lines.filter(Boolean);
  if (texts.length === 0) return '';
  return texts.length === 1 ? `/** ${texts[0]} */\n` : `/**\n${texts.map((line) => ` * ${line}\n`).join('')} */\n`;
}

const since = (detail) => detail?.since && `@since ${detail.since}`;
const deprecated = (detail) => detail?.deprecated && '@deprecated';

/** `owner`: empty for the engine, else `Class.`; `late`: the text for a method that is not built. */
function methodText(it, owner, late) {
  const detail = details.methods[owner + it.name];
  const params = it.params.map(({ name }) => {
    const text = [about[`${owner}${it.name}.${name}`], detail?.defaults?.[name] && `default ${detail.defaults[name]}`];
    return text.some(Boolean) && `@param ${name} ${text.filter(Boolean).join('; ')}`;
  });
  const differs = !owner && callOf(it.name)?.differs;
  return comment([about[owner + it.name], differs, late, ...params, since(detail), deprecated(detail)]);
}

const parameter = (owner, it) => {
  const name = `${owner}.${it.name}`;
  const isOptional = it.optional || OPTIONAL.has(name);
  return `${it.name}${isOptional ? '?' : ''}: ${OWN_TYPES[name] ?? typeOf(it.type)}`;
};

function returned(it, owner) {
  if (/^create[A-Z]/.test(it.name) && it.returns.startsWith('Zego')) return `${it.returns} | null`;
  if (it.returns !== 'Promise<Record<string, any>>') return typeOf(it.returns);
  const resolves = details.methods[owner + it.name]?.resolves;
  if (!resolves) return 'Promise<void>';
  return `Promise<{ ${resolves.map((name) => `${name}: ${RESOLVED[name] ?? 'string'}`).join('; ')} }>`;
}

/** Optional parameters before a required one get `undefined` as a type. */
function signature(it, owner = '') {
  const name = owner + it.name;
  const last = it.params.findLastIndex((param) => !param.optional && !OPTIONAL.has(`${name}.${param.name}`));
  const params = it.params.map((param, index) => {
    const text = parameter(name, param);
    return index < last && text.includes('?: ') ? `${text.replace('?: ', ': ')} | undefined` : text;
  });
  return `${it.name}(${params.join(', ')}): ${returned(it, owner)};\n`;
}

function eventLine(it, { prefix = '', owner = '', own = [] } = {}) {
  const detail = details.events[owner + it.name];
  const text = comment([about[owner + it.name], since(detail), deprecated(detail)]);
  const fields = [...own, ...it.params.map((param) => parameter(it.name, param))].join('; ');
  const flat = OWN_EVENTS[it.name];
  return `${text}${prefix}${it.name}: ${flat ?? (fields ? `{ ${fields} }` : 'Record<string, never>')};\n`;
}

function structTypes(it) {
  const fields = it.fields.map((field) => {
    const name = `${it.name}.${field.name}`;
    const { default: value, range } = details.fields[name] ?? {};
    const text = comment([FIELD_TEXTS[name], [range, value && `default ${value}`].filter(Boolean).join('; ')]);
    return `${text}${parameter(it.name, field)};\n`;
  });
  const own = (OWN_FIELDS[it.name] ?? []).map((field) => `${comment([field.text])}${field.name}?: ${field.type};\n`);
  return `\nexport interface ${it.name} {\n${indented([...fields, ...own].join(''), '  ')}}\n`;
}

/** Enums as values and types: numeric, so that any number is accepted, as with the vendor's. */
export function definesTypes() {
  const member = (it, [name, value]) =>
    `${comment([details.deprecatedMembers[it.name]?.includes(name) && '@deprecated'])}${name} = ${value},\n`;
  const enums = surface.enums.map((it) => {
    const members = Object.entries(it.members).map((entry) => member(it, entry));
    return `\nexport declare enum ${it.name} {\n${indented(members.join(''), '  ')}}\n`;
  });
  // Documented, but not exported as values.
  const types = surface.unexportedEnums.map((it) => {
    const values = Object.entries(it.members).map(([name, value]) => `${value} = ${name}`);
    return `\n/** ${values.join(', ')} */\nexport type ${it.name} = ${Object.values(it.members).join(' | ')};\n`;
  });
  return `${BANNER}${enums.join('')}${types.join('')}${surface.structs.map(structTypes).join('')}`;
}

/** Methods that add and remove listeners of an emitter with those events. */
function listeners(events) {
  const methods = ['on', 'once', 'off', 'addListener', 'removeListener', 'prependListener', 'prependOnceListener'];
  const of = (method) =>
    `${method}<E extends keyof ${events}>(event: E, listener: (param: ${events}[E]) => void): this;\n` +
    `${method}(event: string | symbol, listener: (...args: any[]) => void): this;\n`;
  return methods.map(of).join('');
}

function classTypes(it) {
  const owner = `${it.name}.`;
  const events = `${it.name}Events`;
  const types = it.events.map((event) => eventLine(event, { owner })).join('');
  const methods = it.methods.map((method) => methodText(method, owner) + signature(method, owner)).join('');
  return (
    `\ninterface ${events} {\n${indented(types, '  ')}}\n` +
    `\ninterface ${it.name} extends EventEmitter {\n${indented(`${listeners(events)}\n${methods}`, '  ')}}\n`
  );
}

export function engineTypes() {
  const classes = [...surface.classes, ...details.classes];
  // The engine emits the events of an object too, with a prefix and with the object's number.
  const events = surface.events.map((it) => eventLine(it));
  for (const { name, prefix, events: own } of classes) {
    events.push(...own.map((it) => eventLine(it, { prefix, owner: `${name}.`, own: ['index: number'] })));
  }
  const methods = surface.methods.map((it) => {
    const late = !callOf(it.name) && 'Not built yet: reports code 1000010 by `onDebugError`, or resolves with or returns it.';
    return methodText(it, '', late) + signature(it);
  });
  const names = [...surface.enums, ...surface.unexportedEnums, ...surface.structs].map(({ name }) => name);
  const aliases = names.map((name) => `type ${name} = Defines.${name};\n`).join('');
  const body = `
/** The error that methods throw or reject with. */
interface ZegoError extends Error {
  /** One of ZegoExpressErrorCode. */
  readonly code: number;
}

/** Names of the events, and the object that their listeners get. */
interface ZegoEvents {
${indented(events.join(''), '  ')}}

interface ZegoExpressEngine extends EventEmitter {
${indented(`${listeners('ZegoEvents')}\n${methods.join('')}`, '  ')}}
${classes.map(classTypes).join('')}
${aliases}`;
  return `${BANNER}
import { EventEmitter } from 'events';
import Defines = require('./ZegoExpressDefines');

declare const engine: engine.ZegoExpressEngine;

declare namespace engine {${indented(body, '  ')}}

export = engine;
`;
}
