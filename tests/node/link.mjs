// Bad links between clients and a room server: crates/transport/examples/link_relay in its own process.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, targetDirectory } from '../../scripts/prepare.mjs';
import { startServer } from './harness.mjs';

function binary() {
  const env = { ...process.env, CARGO_TARGET_DIR: targetDirectory() };
  // The whole workspace, so that all crates are built with the same features.
  const command = ['build', '--release', '--quiet', '--workspace', '--example', 'link_relay'];
  const { status } = spawnSync('cargo', command, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the relay could not be built, see above');
  return join(env.CARGO_TARGET_DIR, 'release', 'examples', 'link_relay');
}

/** A relay process. A link is `{up, down}`, each a LINK as the relay's documentation defines it. */
async function startRelay() {
  const child = spawn(binary(), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  const { port } = await next();
  let last = Promise.resolve();
  /** Commands run one after another, each with its reply. */
  const send = (command) => {
    const answer = last.then(async () => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const value = await next();
      if (value.error) throw new Error(value.error);
      return value;
    });
    last = answer.catch(() => {});
    return answer;
  };
  return {
    port,
    server: (address) => send({ server: address }),
    newcomers: (name, links = {}) => send({ newcomers: { name, ...links } }),
    change: (name, links = {}) => send({ change: { name, ...links } }),
    rebind: (name) => send({ rebind: name }),
    mark: () => send({ mark: null }),
    report: (name) => send({ report: name }),
    stop: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

/** A room server that clients reach through a relay only. */
export async function startServerBehindLink() {
  const link = await startRelay();
  const server = await startServer('--advertised-udp-port', String(link.port));
  await link.server(`127.0.0.1:${server.mediaPort}`);
  return { link, server };
}
