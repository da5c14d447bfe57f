// A native part that records its calls, for tests of the JS face alone. It has the methods of the description.
import { nativeMethods } from '../../scripts/surface/native.mjs';

const METHODS = new Set(nativeMethods().map(({ name }) => name));

export function fakeNative() {
  const calls = [];
  const events = [];
  let wake;
  const record = (name) => (...args) => void calls.push([name, ...args]);
  /** As with a native object, `this` must be the object itself and no proxy of it. */
  const natives = new WeakSet();
  class NativeEngine {
    constructor(callback) {
      wake = callback;
      const get = (target, name) => {
        if (typeof name !== 'string' || name === 'constructor') return target[name];
        if (!METHODS.has(name)) throw new TypeError(`the native part has no method ${name}`);
        const run = target[name] ?? record(name);
        return function (...args) {
          if (!natives.has(this)) throw new TypeError('Illegal invocation');
          return run(...args);
        };
      };
      const native = new Proxy(this, { get });
      natives.add(native);
      return native;
    }
    drainEvents() {
      return JSON.stringify(events.splice(0));
    }
    create(profile, config) {
      calls.push(['create', profile, config]);
      if (profile.appID === 0) throw Object.assign(new Error('appID must be 1 to 4294967295'), { code: 1001000 });
    }
    destroy() {
      calls.push(['destroy']);
      events.push(['onRoomStateUpdate', { roomID: 'r', state: 0 }]);
    }
    createScreenCaptureSource(...args) {
      calls.push(['createScreenCaptureSource', ...args]);
      return calls.filter(([name]) => name === 'createScreenCaptureSource').length - 1;
    }
    setVideoSource(...args) {
      calls.push(['setVideoSource', ...args]);
      return 0;
    }
    setAudioSource(...args) {
      calls.push(['setAudioSource', ...args]);
      return 0;
    }
    getVideoDeviceList() {
      return [{ deviceID: 'pattern', deviceName: 'pattern' }];
    }
    static getVersion = () => '0.1.0';
    static setLogConfig = record('setLogConfig');
  }
  /** Lets the engine emit. */
  const emit = (...batch) => {
    events.push(...batch);
    wake(0, 0, 0, 0);
  };
  return { load: () => ({ NativeEngine }), calls, emit, named: (name) => calls.filter(([it]) => it === name) };
}
