// Builds the native parts and puts them where the JS face and bin/ look for them: the addon
// native/zego-express.<platform>-<arch>.node, and the room server native/zego-room-server.<platform>-<arch>. With --bench it
// builds the addon with `BenchSource` into native-bench/ instead, for the bench and the tests of the frame path.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root, targetDirectory } from './prepare.mjs';

const LIBRARY = {
  linux: 'libzego_express_engine_electron.so',
  darwin: 'libzego_express_engine_electron.dylib',
  win32: 'zego_express_engine_electron.dll',
}[process.platform];

/** Whether libvpx can be linked. Without it everything works but VP8, which is then reported as undecodable. */
function hasVpx() {
  return spawnSync('pkg-config', ['--exists', 'vpx']).status === 0;
}

/**
 * Without nasm the codec builds silently without SIMD and is 2.7 times slower: such a build fails here, and so
 * does one that links libvpx dynamically.
 */
function requireSimd(library, withVp8) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  const symbols = execFileSync('nm', [library], { encoding: 'utf8', maxBuffer: 1 << 28 }).split('\n');
  const fast = symbols.filter((line) => / t /i.test(line) && /_(sse2|ssse3|sse41|avx2)$/.test(line));
  const ofVp8 = fast.filter((line) => / vp8_/.test(line)).length;
  const found = fast.length - fast.filter((line) => / (vp8|vp9|vpx)_/.test(line)).length;
  if (found <= 100) throw new Error(`the codec was built without SIMD (${found} symbols): install nasm and rebuild`);
  if (withVp8 && ofVp8 < 5) throw new Error(`VP8 is not linked statically, or without SIMD (${ofVp8} symbols)`);
}

/** Renames a copy over the old file: a process that has that open keeps it. */
function install(built, folder, name) {
  const file = join(root, folder, name);
  mkdirSync(dirname(file), { recursive: true });
  copyFileSync(built, `${file}.new`);
  renameSync(`${file}.new`, file);
  console.log(file);
}

if (!LIBRARY) throw new Error(`no native part for ${process.platform}`);
const target = targetDirectory();
const bench = process.argv.includes('--bench');
const cargo = ['build', '--release', '--package', 'zego-express-engine-electron', '--lib'];
if (bench) cargo.push('--features', 'bench');
else cargo.push('--package', 'room-server', '--bins');
const withVp8 = hasVpx();
if (!withVp8) {
  console.warn('libvpx is not installed (Debian: libvpx-dev): this build shows no VP8, which many LiveKit clients send');
  cargo.push('--no-default-features');
}
execFileSync('cargo', cargo, { cwd: root, stdio: 'inherit', env: { ...process.env, CARGO_TARGET_DIR: target } });
const library = join(target, 'release', LIBRARY);
requireSimd(library, withVp8);
install(library, bench ? 'native-bench' : 'native', `zego-express.${process.platform}-${process.arch}.node`);
const ending = process.platform === 'win32' ? '.exe' : '';
if (!bench) {
  install(join(target, 'release', `room-server${ending}`), 'native', `zego-room-server.${process.platform}-${process.arch}${ending}`);
}
