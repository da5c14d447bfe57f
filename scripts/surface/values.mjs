// Enums and error codes, as values of the package and as types.
import { BANNER, surface } from './description.mjs';

const members = (entries) => entries.map(([name, value]) => `    ${name}: ${value},\n`).join('');

export function definesSource() {
  const enums = surface.enums.map((it) => `  ${it.name}: {\n${members(Object.entries(it.members))}  },\n`);
  return `${BANNER}\nexport = {\n${enums.join('')}} as const;\n`;
}

export function errorCodesSource() {
  const codes = surface.errorCodes.map((it) => `  /** ${it.meaning} */\n  ${it.name}: ${it.code},\n`);
  return `${BANNER}\nexport = {\n${codes.join('')}} as const;\n`;
}

export function errorCodesTypes() {
  const codes = surface.errorCodes.map((it) => `\n/** ${it.meaning} */\nexport const ${it.name}: ${it.code};`);
  return `${BANNER}${codes.join('')}\n`;
}

export function errorMeaningsSource() {
  const meanings = surface.errorCodes.map((it) => `  ${it.code}: ${JSON.stringify(it.meaning)},\n`);
  return `${BANNER}\n/** Meaning of each error code. */\nexport const MEANINGS: Readonly<Record<number, string>> = {\n${meanings.join('')}};\n`;
}

