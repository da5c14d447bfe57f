// Signalling works, media does not: the application gets an event, and the call recovers once a route is open.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { endAll, eventually } from '../node/harness.mjs';
import { sees, startApp, startServerOn } from './members.mjs';
import { Network, noNetworks } from './namespaces.mjs';

const url = 'ws://10.9.0.2:7880';
const NETWORK_INTERRUPT = { onPublisherStateUpdate: 1003020, onPlayerStateUpdate: 1004020 };
let network;

afterEach(() => {
  endAll();
  network?.remove();
});

test('an app without a media route reports it in 20 s and calls later', { skip: noNetworks }, async () => {
  network = new Network();
  // Neither TCP nor a relay: only UDP could carry media.
  await startServerOn(network.server, '--bind', '0.0.0.0', '--tcp-port', '0', '--config-body', 'turn: { enabled: false }');
  const [host, other] = [network.client(1), network.client(2)];
  network.firewall(host, { tcp: [7880] });
  const a = await startApp(host, url, 'a');
  const b = await startApp(other, url, 'b');
  await b.call('startPublishingStream', 'b');
  await eventually(() => b.states('onPublisherStateUpdate'), (states) => states.join() === '1,2');
  await a.call('startPublishingStream', 'a');
  await a.call('startPlayingStream', 'b');
  for (const [name, code] of Object.entries(NETWORK_INTERRUPT)) {
    const failure = ({ event, param }) => event === name && param.state === 1 && param.errorCode === code;
    await eventually(() => a.events.some(failure), Boolean, 20_000);
    const { reason } = JSON.parse(a.events.find(failure).param.extendedData);
    assert.match(reason, /no media path.*10\.9\.0\.2:7882/);
  }
  network.firewall(host, { all: true });
  await b.call('startPlayingStream', 'a');
  await Promise.all([sees(a, 'b', 30_000), sees(b, 'a', 30_000)]);
  for (const name of Object.keys(NETWORK_INTERRUPT)) assert.equal(a.states(name).at(-1), 2);
  // Signalling was there all the time.
  assert.deepEqual(a.states('onRoomStateUpdate'), [1, 2]);
});
