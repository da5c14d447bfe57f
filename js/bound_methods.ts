/**
 * Adds an object's methods as own properties that always run on the object itself. Frameworks wrap objects in proxies that
 * also wrap everything read through them (Vue's `reactive`), but a native object or a `Map` cannot be called through a
 * proxy. With bound methods the object's inside is never read through such a proxy.
 */
export function bindMethods(object: object): void {
  for (let level = prototypeOf(object); level && level !== Object.prototype; level = prototypeOf(level)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      const isHidden = Object.prototype.hasOwnProperty.call(object, name);
      if (typeof value !== 'function' || name === 'constructor' || isHidden) continue;
      const method = value as (...args: unknown[]) => unknown;
      Object.defineProperty(object, name, { value: method.bind(object), writable: true, configurable: true });
    }
  }
}

const prototypeOf = (object: object) => Object.getPrototypeOf(object) as object | null;
