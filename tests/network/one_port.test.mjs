// Networks that let TCP to one port through, or an HTTP proxy and nothing else: media are relayed (TURN).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, test } from 'node:test';

import { noBrowser } from '../interop/chromium.mjs';
import { endAll, eventually, runScript } from '../node/harness.mjs';
import { makeAuthority, noCertutil, noOpenssl } from './certificates.mjs';
import { endOthers, meets, noStockServer, seeEachOther, sees, startApp, startServerOn, startStock, startStockServerOn } from './members.mjs';
import { Network, noNetworks } from './namespaces.mjs';

const skip = noNetworks || noOpenssl;
const proxyFile = fileURLToPath(new URL('proxy.mjs', import.meta.url));
const gateFile = fileURLToPath(new URL('gate.mjs', import.meta.url));
let [network, authority, certificate] = [];

before(() => {
  if (skip) return;
  authority = makeAuthority();
  certificate = authority.issue('rooms.test', 'turn.test', '10.9.0.2');
});
after(() => authority?.remove());
afterEach(() => {
  endAll();
  endOthers();
  network?.remove();
});

const tls = () => ['--tls-cert', certificate.cert, '--tls-key', certificate.key];

test('the signalling port alone is enough for apps and stock clients', { skip: skip || noBrowser }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '0.0.0.0');
  const [host, other] = [network.client(1), network.client(2)];
  network.firewall(host, { tcp: [7880] });
  const url = 'ws://10.9.0.2:7880';
  const [a, b] = [await startApp(host, url, 'a'), await startApp(other, url, 'b')];
  await seeEachOther(a, b);
  const browser = await startStock(host, url, 'chromium', 'browser');
  await meets(browser, 'a');
  await a.call('startPlayingStream', 'browser');
  await sees(a, 'browser');
});

test('port 443 with TLS alone is enough', { skip: skip || noBrowser || noCertutil }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '0.0.0.0', '--port', '443', ...tls());
  const [host, other] = [network.client(1), network.client(2)];
  for (const it of [host, other]) it.names({ 'rooms.test': ['10.9.0.2'] });
  network.firewall(host, { tcp: [443] });
  const [a, b] = await Promise.all([host, other].map((it, n) => startApp(it, 'wss://rooms.test', 'ab'[n], { advanced: { server_ca: authority.ca } })));
  await seeEachOther(a, b);
  const home = authority.trustingHome();
  const browser = await startStock(host, 'wss://rooms.test', 'chromium', 'browser', { env: { HOME: home } });
  await meets(browser, 'a');
});

const OWN_PORTS = {
  'turn-udp': { open: { udp: [3478] }, turn: { domain: '10.9.0.2', udp_port: 3478 } },
  'turn-tls': { open: { tcp: [5349] }, turn: { domain: 'turn.test', tls_port: 5349 } },
};
for (const [route, { open, turn }] of Object.entries(OWN_PORTS)) {
  test(`a relay on its own port: ${route}`, { skip }, async () => {
    network = new Network();
    const config = { turn: { enabled: true, ...turn, cert_file: certificate.cert, key_file: certificate.key } };
    await startServerOn(network.server, '--bind', '0.0.0.0', '--config-body', JSON.stringify(config));
    const [host, other, gate] = [network.client(1), network.client(2), network.client(3)];
    for (const it of [host, other]) it.names({ 'turn.test': ['10.9.0.2'] });
    // Signalling has another port outside, where no relay is.
    const outside = runScript(gateFile, ['8880', '10.9.0.2', '7880'], { within: gate.prefix, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(outside.stdout, 'data');
    network.firewall(host, { ...open, tcp: [8880, ...(open.tcp ?? [])] });
    const advanced = { server_ca: authority.ca };
    const a = await startApp(host, `ws://${gate.address}:8880`, 'a', { advanced });
    const b = await startApp(other, 'ws://10.9.0.2:7880', 'b', { advanced });
    await seeEachOther(a, b);
    const { network: numbers } = await a.stats();
    assert.deepEqual([numbers.publisher.way, numbers.subscriber.way], [route, route]);
  });
}

test('TURN over TLS of a stock LiveKit server is used', { skip: skip || noStockServer }, async () => {
  network = new Network();
  const files = { cert_file: certificate.cert, key_file: certificate.key };
  // It names port 443 to clients whatever its own is, and relays to itself here, which has a private address.
  const turn = { enabled: true, domain: 'turn.test', tls_port: 443, ...files, allow_restricted_peer_cidrs: ['10.0.0.0/8'] };
  await startStockServerOn(network.server, { turn });
  const hosts = [network.client(1), network.client(2)];
  for (const it of hosts) it.names({ 'turn.test': ['10.9.0.2'] });
  network.firewall(hosts[0], { tcp: [7880, 443] });
  const advanced = { server_ca: authority.ca };
  const [a, b] = await Promise.all(hosts.map((it, n) => startApp(it, 'ws://10.9.0.2:7880', 'ab'[n], { advanced })));
  await seeEachOther(a, b);
});

test('an HTTP proxy alone is enough', { skip }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '0.0.0.0', '--port', '443', ...tls());
  const [host, other, gate] = [network.client(1), network.client(2), network.client(3)];
  for (const it of [other, gate]) it.names({ 'rooms.test': ['10.9.0.2'] });
  const proxy = runScript(proxyFile, ['3128'], { within: gate.prefix, stdio: ['ignore', 'pipe', 'inherit'] });
  let asked = '';
  proxy.stdout.on('data', (text) => (asked += text));
  await eventually(() => asked.includes('listening'));
  // The office does not even know the name.
  network.firewall(host, { tcp: [3128] });
  const ca = { server_ca: authority.ca };
  const b = await startApp(other, 'wss://rooms.test', 'b', { advanced: ca });
  const a = await startApp(host, 'wss://rooms.test', 'a', { advanced: { ...ca, proxy: `http://${gate.address}:3128` } });
  await seeEachOther(a, b);
  assert.match(asked, /rooms\.test:443/);
});
