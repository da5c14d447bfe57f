// The native binding: its TypeScript types, and the Rust methods that only convert arguments and call the engine.
import { BANNER, ENUMS, callOf, native, surface, indented } from './description.mjs';

/** TypeScript and Rust types of the native binding. */
const TYPES = {
  number: ['number', 'u32'],
  integer: ['number', 'i32'],
  double: ['number', 'f64'],
  string: ['string', 'String'],
  boolean: ['boolean', 'bool'],
  bytes: ['Uint8Array', 'Uint8Array'],
  buffers: ['Uint8ClampedArray[]', 'Vec<Unknown>'],
  map: ['Record<string, string>', 'HashMap<String, String>'],
  request: ['number', 'u32'],
  device: ['number', 'u32'],
  void: ['void', '()'],
};

function typesOf(type) {
  if (type.endsWith('?')) return typesOf(type.slice(0, -1));
  if (type.endsWith('[]')) {
    const [script, rust] = typesOf(type.slice(0, -2));
    return [`${script}[]`, `Vec<${rust}>`];
  }
  return TYPES[type] ?? [type, type];
}
const scriptType = (type) => typesOf(type)[0];
const rustType = (type) => (type.endsWith('?') ? `Option<${typesOf(type)[1]}>` : typesOf(type)[1]);

/** A type of the surface in words of the native description. */
function nativeType(type, isOptional) {
  const plain = type.replace(' | null', '');
  const known = plain === 'ZegoAudioDeviceType' ? 'device' : ENUMS.has(plain) ? 'number' : plain;
  const mapped = known.replace(/\w+/, (name) => native.types[name] ?? name);
  return isOptional ? `${mapped}?` : mapped;
}

/** All methods of the native class: those of the surface that it implements itself, then those of native.json. */
export function nativeMethods() {
  const direct = surface.methods.flatMap((it) => {
    const call = callOf(it.name);
    if (call?.by !== 'native' || it.name in native.methods) return [];
    const isPromise = it.returns.startsWith('Promise');
    const params = it.params.map(({ name, type, optional }) => {
      const hasDefault = name in (call.defaults ?? {}) || type === 'ZegoPublishChannel' || call.nullable?.includes(name);
      return [name, nativeType(type, optional && !hasDefault)];
    });
    if (isPromise) params.push(['request', 'request']);
    const returns = isPromise ? 'void' : nativeType(it.returns, false);
    return [{ name: it.name, engine: call.engine, params, returns, gives: returns === 'void' ? undefined : call.returns }];
  });
  const own = Object.entries(native.methods).map(([name, it]) => ({
    returns: 'void',
    ...it,
    name,
    params: Object.entries(it.params),
  }));
  return [...direct, ...own];
}

const comment = (text, mark) => (text ? `${mark} ${text}\n` : '');

export function nativeTypes() {
  const structs = Object.entries(native.structs).map(([name, { doc, fields }]) => {
    const lines = Object.entries(fields).map(([field, type]) => `  ${field}${type.endsWith('?') ? '?' : ''}: ${scriptType(type)};\n`);
    return `/** ${doc} */\nexport interface ${name} {\n${lines.join('')}}\n`;
  });
  const methods = nativeMethods().map(({ name, params, returns, doc }) => {
    const last = params.findLastIndex(([, type]) => !type.endsWith('?'));
    const list = params.map(([param, type], index) => {
      if (!type.endsWith('?')) return `${param}: ${scriptType(type)}`;
      return index > last ? `${param}?: ${scriptType(type)}` : `${param}: ${scriptType(type)} | undefined`;
    });
    return `${doc ? `/** ${doc} */\n` : ''}${name}(${list.join(', ')}): ${scriptType(returns)};\n`;
  });
  return `${BANNER}
${structs.join('\n')}
/**
 * Called on the JS thread. View 0: slot 0 says that events are queued, -1 that \`resume\` is to be called after other work of
 * the page. Another view: slot -1 asks for a ring of that size, else that slot is to be drawn at once.
 */
export type Wake = (view: number, slot: number, width: number, height: number) => void;

/** The addon's class. */
export interface NativeEngine {
${indented(methods.join(''), '  ')}}

/** The exports of the \`.node\` file. */
export interface NativeModule {
  NativeEngine: {
    new (wake: Wake): NativeEngine;
    getVersion(): string;
    setLogConfig(config: NativeLogConfig): void;
  };
}
`;
}

/** Rust names as rustc wants them: `setAECMode` is `set_aec_mode`. */
const snake = (name) => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/([A-Z])([A-Z][a-z])/g, '$1_$2').toLowerCase();
const KEYWORDS = new Set(['type']);
const rustName = (name) => (KEYWORDS.has(snake(name)) ? `${snake(name)}_` : snake(name));

/** The expression that hands a parameter to the engine. */
function argument([name, type]) {
  const it = rustName(name);
  if (type === 'string') return `&${it}`;
  if (type === 'string?') return `${it}.as_deref()`;
  if (type === 'bytes') return `${it}.to_vec()`;
  if (type === 'request') return 'reply';
  if (type === 'device') return `device_kind(${it})`;
  if (/^Native\w+\[\]$/.test(type)) return `${it}.into_iter().map(Into::into).collect()`;
  if (!(type in native.structs)) return it;
  const target = native.structs[type].engine;
  return target ? `${target}::from(${it})` : `${it}.into()`;
}

/** The body of a method: `gives` says whether the engine returns a value, a result with a value, or only an error code. */
function body({ name, engine = snake(name), params, returns, gives }) {
  const call = `engine.${engine}(${params.map(argument).join(', ')})`;
  const reply = params.some(([, type]) => type === 'request') ? 'let reply = self.reply(request);\n' : '';
  const isList = returns.endsWith('[]');
  const isStruct = returns.replace('[]', '') in native.structs;
  const converted = (value) => (isList ? `${value}.into_iter().map(Into::into).collect()` : isStruct ? `${value}.into()` : value);
  if (returns === 'void') return `${reply}self.run(|engine| ${call})`;
  if (gives === 'value') return `let engine = self.engine()?;\nOk(${converted(call)})`;
  if (gives === 'code') return `let engine = self.engine()?;\nOk(${call}.err().map_or(0, |error| error.code))`;
  return isStruct ? `self.run(|engine| ${call}).map(Into::into)` : `self.run(|engine| ${call})`;
}

function rustMethod(it) {
  const result = it.gives === 'code' ? 'i32' : rustType(it.returns);
  const params = it.params.map(([name, type]) => `${rustName(name)}: ${rustType(type)}`);
  return `/// ${it.doc ?? `\`${it.name}\`.`}
#[napi(js_name = "${it.name}")]
pub fn ${snake(it.name)}(&self${params.map((param) => `, ${param}`).join('')}) -> Result<${result}> {
${indented(body(it), '    ')}
}
`;
}

export function nativeSource() {
  const structs = Object.entries(native.structs).map(([name, { doc, fields }]) => {
    const lines = Object.entries(fields).map(
      ([field, type]) => `    /// \`${field}\`.\n    #[napi(js_name = "${field}")]\n    pub ${rustName(field)}: ${rustType(type)},\n`,
    );
    return `${comment(doc, '///')}#[napi(object)]\npub struct ${name} {\n${lines.join('')}}\n`;
  });
  const methods = nativeMethods().filter(({ byHand }) => !byHand).map(rustMethod);
  return `//! Generated by scripts/generate-surface.mjs from js/surface: structs of the binding, and methods that convert their
//! arguments and call the engine.

use std::collections::HashMap;

use napi::Result;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::conversions::device_kind;
use crate::engine::NativeEngine;

${structs.join('\n')}
#[napi]
impl NativeEngine {
${indented(methods.join('\n'), '    ')}}
`;
}
