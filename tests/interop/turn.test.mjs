// Clients whose network lets nothing out but connections to the port of signalling: they may use a relay only, so pictures
// come by the server's own one or not at all.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { noBrowser } from './chromium.mjs';
import { startServer, token, until } from './harness.mjs';
import { startChromium } from './stock/page_client.mjs';

const addresses = Object.values(networkInterfaces()).flat().filter(({ family, internal }) => family === 'IPv4' && !internal);
const own = addresses[0]?.address;
const has = (program) => { try { execFileSync('which', [program], { stdio: 'ignore' }); return true; } catch { return false; } };
const skip = noBrowser || (own ? false : 'no network here');
const skipTls = skip || (['openssl', 'certutil'].every(has) ? false : 'no openssl or certutil here (apt-get install openssl libnss3-tools)');

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
    await client.publishAudio({ name: `${name}-sound` });
  }
  for (const [client, other] of [[clients.first, 'second'], [clients.second, 'first']]) {
    await until(`pictures and sound of ${other}`, async () => {
      const { views, audioFrames } = await client.report();
      return views[other]?.frames > 30 && audioFrames > 30;
    });
  }
}

test('two browsers see and hear each other by the relay on the port of signalling', { skip }, async (t) => {
  const server = await startServer('--bind', '0.0.0.0');
  t.after(() => server.stop());
  await seesThroughTheRelay(t, server.url.replace('0.0.0.0', own));
});

test('the same over TLS', { skip: skipTls }, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'turn-test-'));
  const [cert, key, store] = [join(home, 'cert.pem'), join(home, 'key.pem'), join(home, '.pki/nssdb')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test', '-keyout', key, '-out', cert,
    '-addext', `subjectAltName=IP:${own}`], { stdio: 'ignore' });
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', 'test', '-i', cert]);
  const server = await startServer('--bind', '0.0.0.0', '--tls-cert', cert, '--tls-key', key);
  t.after(async () => {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });
  await seesThroughTheRelay(t, server.url.replace('0.0.0.0', own), { home });
});
