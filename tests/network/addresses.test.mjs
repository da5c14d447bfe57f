// Servers with several addresses, and names with addresses that lead nowhere.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { endAll, eventually } from '../node/harness.mjs';
import { sees, startApp, startServerOn } from './members.mjs';
import { Network, noNetworks } from './namespaces.mjs';

const skip = noNetworks;
const url = 'ws://10.9.0.2:7880';
let network;

afterEach(() => {
  endAll();
  network?.remove();
});

/** The first publishes, the others play. */
async function call(publisher, ...players) {
  await publisher.call('startPublishingStream', 's');
  for (const player of players) await player.call('startPlayingStream', 's');
  await Promise.all(players.map((player) => sees(player, 's')));
}

test('clients in a second network of the server have media', { skip }, async () => {
  network = new Network();
  const neighbour = network.neighbour();
  await startServerOn(network.server, '--bind', '0.0.0.0');
  const a = await startApp(network.client(1), url, 'a');
  const b = await startApp(neighbour, 'ws://10.8.0.2:7880', 'b');
  await call(a, b);
});

test('an unreachable node IP does not replace the local candidates', { skip }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '0.0.0.0', '--node-ip', '203.0.113.7');
  const [a, b] = [await startApp(network.client(1), url, 'a'), await startApp(network.server, 'ws://127.0.0.1:7880', 'b')];
  await call(a, b);
});

test('a server without a default route has media', { skip }, async () => {
  network = new Network();
  const [client, neighbour] = [network.client(1), network.neighbour()];
  network.withoutDefaultRoute(client);
  await startServerOn(network.server, '--bind', '0.0.0.0');
  await call(await startApp(client, url, 'a'), await startApp(neighbour, 'ws://10.8.0.2:7880', 'b'));
});

for (const bound of [['::'], ['0.0.0.0', '::'], ['']]) {
  test(`a server at ${JSON.stringify(bound)} has media in both families`, { skip }, async () => {
    network = new Network();
    await startServerOn(network.server, '--config-body', JSON.stringify({ bind_addresses: bound }));
    const [first, second] = [network.client(1), network.client(2)];
    const a = await startApp(first, url, 'a');
    const b = await startApp(second, 'ws://[fd09::2]:7880', 'b');
    const c = await startApp(network.server, 'ws://127.0.0.1:7880', 'c');
    const d = await startApp(network.server, 'ws://[::1]:7880', 'd');
    await call(a, b, c, d);
  });
}

test('a name whose first address is dead uses the second at once', { skip }, async () => {
  network = new Network();
  await startServerOn(network.server, '--bind', '::');
  const client = network.client(1);
  client.names({ 'rooms.test': ['fd09::77', '10.9.0.2'], 'good.test': ['10.9.0.2'] });
  const login = async (name, userID) => {
    const begun = performance.now();
    const app = await startApp(client, `ws://${name}:7880`, userID);
    await eventually(() => app.states('onRoomStateUpdate'), (states) => states.join() === '1,2');
    return performance.now() - begun;
  };
  const good = await login('good.test', 'a');
  const past = await login('rooms.test', 'b');
  // 250 ms, and some time for a busy machine.
  assert.ok(past < good + 2000, `${past} ms past a dead address, ${good} ms without`);
});
