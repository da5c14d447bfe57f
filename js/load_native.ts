import { existsSync } from 'fs';
import { join, sep } from 'path';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import type { NativeModule } from './generated/native';

/** Path of the file; outside the asar archive of a packed application, where it can be mapped. */
function nativePath(): string {
  const inside = join(__dirname, '..', 'native', `zego-express.${process.platform}-${process.arch}.node`);
  const beside = inside.replace(`app.asar${sep}`, `app.asar.unpacked${sep}`);
  return existsSync(beside) ? beside : inside;
}

let loaded: NativeModule | undefined;

/** Loads the native part on first use, so that `require` of the package never fails. */
export function loadNative(): NativeModule {
  if (loaded) return loaded;
  const path = nativePath();
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loaded = require(path) as NativeModule;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ZegoError(ErrorCode.CommonLoadLibraryFailed, `the native part ${path} could not be loaded: ${reason}`);
  }
  return loaded;
}
