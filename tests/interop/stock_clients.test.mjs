// Unmodified LiveKit clients at pinned versions, each over one and over two peer connections.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { dispose } from '@livekit/rtc-node';

import { noBrowser } from './chromium.mjs';
import { KEY, SECRET, startServer, token, until } from './harness.mjs';
import { NodeClient } from './stock/node_client.mjs';
import { startChromium, startElectron } from './stock/page_client.mjs';
import { PythonClient, installPython } from './stock/python_client.mjs';
import { runScenario } from './stock/scenario.mjs';

// A scenario that fails shows the server's log.
process.env.RUST_LOG ??= 'debug,str0m=error,is=error,hyper_util=info,rustls=info';

after(() => dispose());

const MODES = [['one peer connection', true], ['two peer connections', false]];
/** Clients without this option use two connections if the server allows only those. */
const serverArgsOf = (isSingle) => (isSingle ? [] : ['--two-connections']);

for (const [mode, singlePeerConnection] of MODES) {
  test(`rtc-node over ${mode}`, async (t) => {
    const newClient = async () => new NodeClient();
    await runScenario(t, { newClient, singlePeerConnection, serverArgs: serverArgsOf(singlePeerConnection) });
  });

  test(`livekit from PyPI over ${mode}`, async (t) => {
    installPython();
    await runScenario(t, { newClient: async () => new PythonClient(), singlePeerConnection });
  });

  for (const [name, start, skip] of [['Chromium', startChromium, noBrowser], ['Electron', startElectron, false]]) {
    test(`livekit-client in ${name} over ${mode}`, { skip }, async (t) => {
      const { newClient, stop } = await start();
      t.after(stop);
      await runScenario(t, { newClient, singlePeerConnection });
    });
  }
}

test('livekit-api from PyPI manages a room', async (t) => {
  installPython();
  const server = await startServer();
  const [python, anna, hans] = [new PythonClient(), new NodeClient(), new NodeClient()];
  t.after(async () => {
    await Promise.all([python.leave(), anna.leave(), hans.leave()]);
    await server.stop();
  });
  await anna.connect({ url: server.url, token: await token('anna') });
  await hans.connect({ url: server.url, token: await token('hans') });
  await anna.publishAudio({ name: 'audio' });
  await until('her track at hans', () => hans.report().others.anna?.tracks.audio);
  const result = await python.administer({ url: server.http, key: KEY, secret: SECRET, room: 'r', identity: 'anna' });
  assert.deepEqual(result, {
    created: ['from-python', 3],
    listed: ['from-python'],
    left: [],
    people: ['anna', 'hans'],
    muted: true,
    metadata: ['by python', 'room'],
  });
  await until('the message', () => hans.report().data.some(({ text }) => text === 'from above'));
  await until('anna gone', () => anna.report().disconnected !== null && !hans.report().others.anna);
});
