// A proxy as frameworks keep state in: whatever is read through it is wrapped as well, whatever is called gets the
// proxy as its `this`. Like Vue's, it leaves functions and objects of the host (elements, buffers) as they are.
const WRAPPED = new Set(['[object Object]', '[object Array]', '[object Map]', '[object Set]']);
const known = new WeakMap();

export function deepProxy(target) {
  if (typeof target !== 'object' || target === null || !WRAPPED.has(Object.prototype.toString.call(target))) return target;
  if (!known.has(target)) {
    const get = (object, name, receiver) => deepProxy(Reflect.get(object, name, receiver));
    known.set(target, new Proxy(target, { get }));
  }
  return known.get(target);
}

/** The same, but wrapping functions too: a call through it differs from a direct one only in its `this`. */
export function totalProxy(target) {
  if ((typeof target !== 'object' || target === null) && typeof target !== 'function') return target;
  const get = (object, name, receiver) => {
    const isFixed = Object.getOwnPropertyDescriptor(object, name)?.configurable === false;
    const value = Reflect.get(object, name, receiver);
    return isFixed ? value : totalProxy(value);
  };
  return new Proxy(target, { get });
}
