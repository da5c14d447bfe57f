// Finds a real LiveKit server for tests and benches, and builds one with Go when there is none. Prints its path when run.
//
// A tool of the tests, kept in a cache outside the checkout and never part of the package.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Versions without replaced modules, which `go install` refuses. */
export const VERSION = 'v1.13.5';
/** The last version of the previous release line, still widely used. */
export const OLDER_VERSION = 'v1.9.12';
const MODULE = 'github.com/livekit/livekit-server/cmd/server';
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'zego-express', 'livekit');

/** `{path}` of the server, or the `{reason}` why there is none. */
export function livekitServer(version = VERSION) {
  const folder = join(cache, version);
  const path = join(folder, process.platform === 'win32' ? 'server.exe' : 'server');
  if (existsSync(path)) return { path };
  if (spawnSync('go', ['version']).error) return { reason: 'there is no Go to build livekit-server with' };
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0', GOFLAGS: '' };
  const { status } = spawnSync('go', ['install', `${MODULE}@${version}`], { env, stdio: ['ignore', 2, 2] });
  if (status !== 0 || !existsSync(path)) throw new Error(`livekit-server ${version} could not be built, see above`);
  return { path };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, reason } = livekitServer();
  console.log(path ?? reason);
}
