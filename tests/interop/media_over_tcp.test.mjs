// Clients whose network blocks UDP: the server offers its TCP port only, so media comes over TCP or not
// at all.

import { after, test } from 'node:test';
import { dispose } from '@livekit/rtc-node';

import { noBrowser } from './chromium.mjs';
import { startServer, token, until } from './harness.mjs';
import { NodeClient } from './stock/node_client.mjs';
import { startChromium } from './stock/page_client.mjs';

after(() => dispose());

for (const [mode, singlePeerConnection] of [['one peer connection', true], ['two peer connections', false]]) {
  test(`rtc-node and livekit-client call each other over TCP, on ${mode}`, { skip: noBrowser }, async (t) => {
    const server = await startServer('--config-body', 'rtc: { force_tcp: true }', ...(singlePeerConnection ? [] : ['--two-connections']));
    const { newClient, stop } = await startChromium();
    const clients = { node: new NodeClient(), browser: await newClient() };
    t.after(async () => {
      await Promise.all(Object.values(clients).map((client) => client.leave()));
      await stop();
      await server.stop();
    });
    for (const [name, client] of Object.entries(clients)) {
      await client.connect({ url: server.url, token: await token(name), singlePeerConnection });
      await client.publishVideo({ name });
      await client.publishAudio({ name: `${name}-audio` });
    }
    for (const [client, other] of [[clients.node, 'browser'], [clients.browser, 'node']]) {
      await until(`audio and video of ${other}`, async () => {
        const { views, audioFrames } = await client.report();
        return views[other]?.frames > 30 && audioFrames > 30;
      });
    }
  });
}
