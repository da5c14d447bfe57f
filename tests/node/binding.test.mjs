// The addon's class against the description that its callers are generated from.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { nativeMethods } from '../../scripts/surface/native.mjs';

const { NativeEngine, ...others } = createRequire(import.meta.url)('../../dist/load_native.js').loadNative();

test('the addon has the methods of the description and no others', () => {
  const described = nativeMethods().map(({ name }) => name);
  const built = Object.getOwnPropertyNames(NativeEngine.prototype).filter((name) => name !== 'constructor');
  assert.deepEqual(built.sort(), described.sort());
  assert.deepEqual([typeof NativeEngine.getVersion, typeof NativeEngine.setLogConfig], ['function', 'function']);
});

test('the addon of the package has no classes of the benches', () => {
  assert.deepEqual(Object.keys(others), []);
});

test('an error of the native part carries its code as a number', () => {
  const native = new NativeEngine(() => undefined);
  assert.throws(() => native.muteMicrophone(true), { code: 1000001, message: 'there is no engine' });
  assert.throws(() => native.create({ appID: 0, appSign: '', scenario: 0 }, { advancedConfig: {}, multiRoom: false }), {
    code: 1001000,
    message: 'appID must be 1 to 4294967295',
  });
});
