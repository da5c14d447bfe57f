// Clients whose network allows only the signalling port: they may use a relay only, so media
// comes through the server's TURN or not at all.

import { networkInterfaces } from 'node:os';
import { test } from 'node:test';

import { makeAuthority, noCertutil, noOpenssl } from '../network/certificates.mjs';
import { noBrowser } from './chromium.mjs';
import { startServer, token, until } from './harness.mjs';
import { startChromium } from './stock/page_client.mjs';

const addresses = Object.values(networkInterfaces()).flat().filter(({ family, internal }) => family === 'IPv4' && !internal);
const own = addresses[0]?.address;
const skip = noBrowser || (own ? false : 'no network here');
const skipTls = skip || noOpenssl || noCertutil;

async function seesThroughTheRelay(t, url, chromium) {
  const { newClient, stop } = await startChromium(chromium);
  const clients = { first: await newClient(), second: await newClient() };
  t.after(async () => {
    await Promise.all(Object.values(clients).map((client) => client.leave()));
    await stop();
  });
  for (const [name, client] of Object.entries(clients)) {
    await client.connect({ url, token: await token(name), rtcConfig: { iceTransportPolicy: 'relay' } });
    await client.publishVideo({ name });
    await client.publishAudio({ name: `${name}-audio` });
  }
  for (const [client, other] of [[clients.first, 'second'], [clients.second, 'first']]) {
    await until(`audio and video of ${other}`, async () => {
      const { views, audioFrames } = await client.report();
      return views[other]?.frames > 30 && audioFrames > 30;
    });
  }
}

test('two browsers call each other through TURN on the signalling port', { skip }, async (t) => {
  const server = await startServer('--bind', '0.0.0.0');
  t.after(() => server.stop());
  await seesThroughTheRelay(t, server.url.replace('0.0.0.0', own));
});

test('two browsers call each other through TURN over TLS', { skip: skipTls }, async (t) => {
  const authority = makeAuthority();
  const { cert, key } = authority.issue(own);
  const server = await startServer('--bind', '0.0.0.0', '--tls-cert', cert, '--tls-key', key);
  t.after(async () => {
    await server.stop();
    authority.remove();
  });
  await seesThroughTheRelay(t, server.url.replace('0.0.0.0', own), { home: authority.trustingHome() });
});
