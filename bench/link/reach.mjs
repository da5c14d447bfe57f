// Calls from restricted networks beside the same call in an open one. In
// network namespaces, so as root on Linux.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endAll, eventually } from '../../tests/node/harness.mjs';
import { makeAuthority } from '../../tests/network/certificates.mjs';
import { startApp, startServerOn } from '../../tests/network/members.mjs';
import { Network, noNetworks } from '../../tests/network/namespaces.mjs';
import { median, round } from '../numbers.mjs';

const file = join(dirname(fileURLToPath(import.meta.url)), 'reach_call.mjs');
const OURS = 'page.html';
const CHROMIUM = 'peer.html';
const PLAIN = 'ws://rooms.test:7880';
const SECURE = 'wss://rooms.test:443';
const LOGINS = 5;

/** The network, the client and the server of each variant. */
const VARIANTS = [
  { network: 'everything open', variant: 'ours', page: OURS, url: PLAIN },
  { network: 'everything open', variant: 'chromium', page: CHROMIUM, url: PLAIN },
  { network: 'TCP only', variant: 'ours', page: OURS, url: PLAIN, open: { tcp: 'any' } },
  { network: 'TCP only', variant: 'chromium', page: CHROMIUM, url: PLAIN, open: { tcp: 'any' } },
  { network: 'TCP port 443 only, TURN over TLS', variant: 'ours', page: OURS, url: SECURE, open: { tcp: [443] } },
];

async function calls(host, { page, url }, ca) {
  const [command, ...args] = [...host.prefix, process.execPath, file, page, url, '1'];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SSL_CERT_FILE: ca } });
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`calls to ${url} ended with ${code}`);
  return out.trim().split('\n').map((line) => JSON.parse(line));
}

/** Milliseconds of a login at a name. */
async function login(host, name, userID) {
  const app = await startApp(host, `ws://${name}:7880`, userID);
  const stateEvent = (state) => app.events.find(({ event, param }) => event === 'onRoomStateUpdate' && param.state === state);
  const entered = await eventually(() => stateEvent(2));
  await app.call('finish');
  await app.ended;
  return entered.at - stateEvent(1).at;
}

/** `{ rows, targets }`, empty where network namespaces are not available. */
export async function reach(rounds) {
  if (noNetworks) {
    console.error(`no calls from closed networks: ${noNetworks}`);
    return { rows: [], targets: [] };
  }
  const [network, authority] = [new Network(), makeAuthority()];
  try {
    const { cert, key } = authority.issue('rooms.test');
    await startServerOn(network.server, '--bind', '0.0.0.0');
    await startServerOn(network.server, '--bind', '0.0.0.0', '--port', '443', '--tls-cert', cert, '--tls-key', key);
    const host = network.client(1);
    host.names({ 'rooms.test': ['10.9.0.2'], 'past.test': ['10.9.0.77', '10.9.0.2'] });
    const samples = VARIANTS.map(() => []);
    const logins = { 'rooms.test': [], 'past.test': [] };
    for (let pass = 1; pass <= rounds; pass += 1) {
      for (const [index, variant] of VARIANTS.entries()) {
        network.firewall(host, variant.open ?? { all: true });
        samples[index].push(...(await calls(host, variant, authority.ca)));
        console.error(`round ${pass} of ${rounds}: ${JSON.stringify({ ...variant, ...samples[index].at(-1) })}`);
      }
      network.firewall(host, { all: true });
      for (let n = 0; n < LOGINS; n += 1) {
        for (const name of Object.keys(logins)) logins[name].push(await login(host, name, `u${pass}-${n}`));
      }
    }
    return summary(samples, logins);
  } finally {
    endAll();
    network.remove();
    authority.remove();
  }
}

function summary(samples, logins) {
  const rows = VARIANTS.map(({ network, variant }, index) => {
    const row = { case: network, variant, rounds: samples[index].length };
    for (const figure of Object.keys(samples[index][0])) {
      const values = samples[index].map((sample) => sample[figure]);
      row[figure] = round(median(values));
      row[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
    }
    return row;
  });
  const ours = (network) => rows.find((row) => row.case === network && row.variant === 'ours');
  const open = ours('everything open');
  const goal = (name, value, limit) => ({ name, goal: `<= ${round(limit)}`, value, ok: value <= limit });
  const targets = ['TCP only', 'TCP port 443 only, TURN over TLS'].flatMap((name) => [
    goal(`${name}: join, ms (2.5 x the open network's)`, ours(name).joinToFirstFrameMs, 2.5 * open.joinToFirstFrameMs),
    goal(`${name}: capture to canvas p50, ms (the open network's + 15)`, ours(name).p50Ms, open.p50Ms + 15),
  ]);
  const past = median(logins['past.test']) - median(logins['rooms.test']);
  targets.push(goal('a login past a dead address, ms more than one without', round(past), 300));
  return { rows, targets };
}
