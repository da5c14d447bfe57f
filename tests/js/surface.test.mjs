import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const surface = require('../../js/surface/surface.json');

test('the generated files are up to date', () => {
  execFileSync(process.execPath, [join(root, 'scripts/generate-surface.mjs'), '--check']);
});

test('the engine has every method of the surface', () => {
  const { ZegoExpressEngine } = require('../../dist/engine.js');
  const missing = surface.methods.filter(({ name }) => typeof ZegoExpressEngine.prototype[name] !== 'function');
  assert.deepEqual(missing, []);
});

test('every path of the package loads with and without .js', () => {
  const engine = require('zego-express-engine-electron');
  for (const end of ['', '.js']) {
    assert.equal(require(`zego-express-engine-electron/ZegoExpressEngine${end}`), engine);
    const defines = require(`zego-express-engine-electron/ZegoExpressDefines${end}`);
    assert.equal(Object.keys(defines).length, 91);
    assert.equal(defines.ZegoScenario.StandardVideoCall, 4);
    const codes = require(`zego-express-engine-electron/ZegoExpressErrorCode${end}`);
    assert.equal(Object.keys(codes).length, 419);
    assert.equal(codes.CommonEngineNotCreate, 1000001);
    const ScreenCaptureSource = require(`zego-express-engine-electron/ZegoExpressScreenCaptureSource${end}`);
    const { methods } = surface.classes.find(({ name }) => name === ScreenCaptureSource.name);
    assert.deepEqual(methods.filter(({ name }) => typeof ScreenCaptureSource.prototype[name] !== 'function'), []);
  }
});

test('classes that are not built load and throw when constructed', () => {
  const names = ['MediaPlayer', 'AudioEffectPlayer', 'CopyrightedMusic', 'Webgl'];
  for (const path of names.flatMap((name) => [`ZegoExpress${name}`, `ZegoExpress${name}.js`])) {
    const Class = require(`zego-express-engine-electron/${path}`);
    assert.throws(() => new Class(), { name: 'ZegoError', code: 1000010 }, path);
  }
  assert.equal(require('zego-express-engine-electron/ZegoExpressEngineImpl'), require('zego-express-engine-electron'));
});

test('every path of the package is in its tarball, with its types', () => {
  const { exports, files } = require('../../package.json');
  const paths = Object.values(exports).flatMap((it) => (typeof it === 'string' ? [] : [it.types, it.default]));
  assert.deepEqual(paths.filter((path) => !files.includes(path.slice(2))), []);
});

test('enums have no reverse mapping', () => {
  const defines = require('zego-express-engine-electron/ZegoExpressDefines');
  assert.equal(defines.ZegoViewMode[0], undefined);
});

/** Compiles as a strict application would: the declarations of this package are looked into as well. */
function compile(file, ...options) {
  const tsc = require.resolve('typescript/bin/tsc');
  const strict = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--types', 'node', '--lib', 'ES2020,DOM'];
  execFileSync(process.execPath, [tsc, ...strict, ...options, join(root, 'tests/js', file)], { cwd: root, stdio: 'inherit' });
}

test('an application in TypeScript compiles against the types', () => {
  compile('application.ts', '--module', 'CommonJS', '--moduleResolution', 'Node10');
  compile('application.ts', '--module', 'Node16', '--moduleResolution', 'Node16', '--exactOptionalPropertyTypes');
});

test('the implementation matches the published types', () => {
  compile('implementation.ts', '--target', 'ES2020', '--module', 'CommonJS', '--moduleResolution', 'Node10');
});
