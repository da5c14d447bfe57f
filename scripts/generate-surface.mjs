// Generates from js/surface: the engine's calls with their argument checks, the native binding and its types, the package's
// type declarations and docs/api.md. With --check it only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineCallsSource, shapesSource } from './surface/calls.mjs';
import { root } from './surface/description.mjs';
import { apiPage } from './surface/docs.mjs';
import { nativeSource, nativeTypes } from './surface/native.mjs';
import { definesTypes, engineTypes } from './surface/types.mjs';
import { definesSource, errorCodesSource, errorCodesTypes, errorMeaningsSource } from './surface/values.mjs';

const files = {
  'js/generated/defines.ts': definesSource(),
  'js/generated/error_codes.ts': errorCodesSource(),
  'js/generated/error_meanings.ts': errorMeaningsSource(),
  'js/generated/engine_calls.ts': engineCallsSource(),
  'js/generated/shapes.ts': shapesSource(),
  'js/generated/native.ts': nativeTypes(),
  'src/generated.rs': nativeSource(),
  'docs/api.md': apiPage(),
  'index.d.ts': engineTypes(),
  'ZegoExpressDefines.d.ts': definesTypes(),
  'ZegoExpressErrorCode.d.ts': errorCodesTypes(),
};

const check = process.argv.includes('--check');
const stale = Object.entries(files).filter(([name, text]) => {
  const path = join(root, name);
  if (!check) writeFileSync(path, text);
  return check && readFileSync(path, 'utf8') !== text;
});
if (stale.length > 0) {
  console.error(`stale, run node scripts/generate-surface.mjs: ${stale.map(([name]) => name).join(', ')}`);
  process.exitCode = 1;
}
