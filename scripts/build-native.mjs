// Builds the native part and puts it where the JS face looks for it: native/zego-express.<platform>-<arch>.node.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root, targetDirectory } from './prepare.mjs';

const LIBRARY = {
  linux: 'libzego_express_engine_electron.so',
  darwin: 'libzego_express_engine_electron.dylib',
  win32: 'zego_express_engine_electron.dll',
}[process.platform];

/** A codec without SIMD is 2.7 times slower and builds without a word when nasm is missing: such a build fails here. */
function requireSimd(library) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  const symbols = execFileSync('nm', [library], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const found = symbols.split('\n').filter((line) => /_(sse2|ssse3|sse41|avx2)$/.test(line)).length;
  if (found <= 100) throw new Error(`the codec was built without SIMD (${found} symbols): install nasm and rebuild`);
}

if (!LIBRARY) throw new Error(`no native part for ${process.platform}`);
const target = targetDirectory();
const cargo = ['build', '--release', '--lib', '--package', 'zego-express-engine-electron'];
execFileSync('cargo', cargo, { cwd: root, stdio: 'inherit', env: { ...process.env, CARGO_TARGET_DIR: target } });
const library = join(target, 'release', LIBRARY);
requireSimd(library);
const file = join(root, 'native', `zego-express.${process.platform}-${process.arch}.node`);
mkdirSync(dirname(file), { recursive: true });
// By way of a second name: a process that has the old file mapped keeps it.
copyFileSync(library, `${file}.new`);
renameSync(`${file}.new`, file);
console.log(file);
