// Networks that block UDP: calls use TCP without any configuration.
import { afterEach, test } from 'node:test';

import { noBrowser } from '../interop/chromium.mjs';
import { endAll, eventually } from '../node/harness.mjs';
import { endOthers, meets, noStockServer, seeEachOther, sees, startApp, startServerOn, startStock, startStockServerOn } from './members.mjs';
import { Network, noNetworks } from './namespaces.mjs';

const SIGNALLING = 7880;
const MEDIA_TCP = 7881;
const url = `ws://10.9.0.2:${SIGNALLING}`;
let network;

afterEach(() => {
  endAll();
  endOthers();
  network?.remove();
});

const servers = {
  'our server': { skip: noNetworks, start: (host, ...args) => startServerOn(host, '--bind', '0.0.0.0', ...args) },
  'a stock LiveKit server': { skip: noNetworks || noStockServer, start: startStockServerOn },
};

for (const [name, { skip, start }] of Object.entries(servers)) {
  test(`two apps call each other over TCP, with ${name}`, { skip }, async () => {
    network = new Network();
    await start(network.server);
    const hosts = [network.client(1), network.client(2)];
    for (const host of hosts) network.firewall(host, { tcp: [SIGNALLING, MEDIA_TCP] });
    const [a, b] = await Promise.all(hosts.map((host, n) => startApp(host, url, 'ab'[n])));
    await seeEachOther(a, b);
  });

  test(`an app, livekit-client and rtc-node call over TCP, with ${name}`, { skip: skip || noBrowser }, async () => {
    network = new Network();
    await start(network.server);
    const host = network.client(1);
    network.firewall(host, { tcp: [SIGNALLING, MEDIA_TCP] });
    const app = await startApp(host, url, 'app');
    await app.call('startPublishingStream', 'app');
    const [browser, node] = await Promise.all([
      startStock(host, url, 'chromium', 'browser'),
      startStock(host, url, 'node', 'node'),
    ]);
    await Promise.all([meets(browser, 'node'), meets(browser, 'app'), meets(node, 'browser'), meets(node, 'app')]);
    for (const identity of ['browser', 'node']) await app.call('startPlayingStream', identity);
    await Promise.all([sees(app, 'browser'), sees(app, 'node')]);
  });
}

test('a call moves to TCP when the firewall starts to block UDP', { skip: noNetworks }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '0.0.0.0');
  const hosts = [network.client(1), network.client(2)];
  const [a, b] = await Promise.all(hosts.map((host, n) => startApp(host, url, 'ab'[n])));
  await seeEachOther(a, b);
  network.firewall(hosts[1], { tcp: 'any' });
  const decoded = async () => (await b.stats()).players[0].framesDecoded;
  // Packets in flight have arrived.
  await eventually(async () => {
    const before = await decoded();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return (await decoded()) === before;
  });
  const before = await decoded();
  await eventually(decoded, (frames) => frames > before + 30, 20_000);
});
