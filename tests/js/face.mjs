// Set-up of the JS face's tests: an engine over a native part that records its calls.
import { createRequire } from 'node:module';
import { fakeNative } from './fake_native.mjs';

const { ZegoExpressEngine } = createRequire(import.meta.url)('../../dist/engine.js');

export const PROFILE = { appID: 7, appSign: 'secret', scenario: 3 };
export const USER = { userID: 'u', userName: 'U' };

export function engine() {
  const native = fakeNative();
  return { native, zego: new ZegoExpressEngine(native.load) };
}

export async function created(advancedConfig) {
  const made = engine();
  if (advancedConfig) made.zego.setEngineConfig({ advancedConfig });
  await made.zego.createEngine(PROFILE);
  return made;
}

export function debugErrors(zego) {
  const errors = [];
  zego.on('onDebugError', (error) => errors.push(error));
  return errors;
}

/** Warnings logged during a test. */
export function listenToConsole({ mock }) {
  const said = [];
  mock.method(console, 'warn', (text) => said.push(text));
  return said;
}
