// Calls within one client's network: two windows of one Electron, one call after the other. Arguments: page, server's
// address, rounds. Prints a line of JSON for each call.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';

const app = join(dirname(fileURLToPath(import.meta.url)), '../call/app');
const [page, server, rounds] = process.argv.slice(2);
const config = { captureWidth: 1280, captureHeight: 720, encodeWidth: 1280, encodeHeight: 720, fps: 30, bitrate: 1800 };
const WARM_MS = 1500;
const MEASURED_MS = 4000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', app] });

async function open(name) {
  const opened = electron.waitForEvent('window');
  await electron.evaluate((_, it) => global.openWindow(it.page, it.name), { page, name });
  const window = await opened;
  await window.waitForFunction(() => typeof window.play === 'function');
  return window;
}

for (let round = 1; round <= Number(rounds); round += 1) {
  const it = { server, room: `reach-${round}`, config };
  const publisher = await open('publisher');
  await publisher.evaluate(({ server, room, config }) => window.publish(server, room, config), it);
  await sleep(500);
  const subscriber = await open('subscriber');
  const joinToFirstFrameMs = await subscriber.evaluate(({ server, room, config }) => window.play(server, room, config), it);
  await sleep(WARM_MS);
  await subscriber.evaluate(() => window.reset());
  await sleep(MEASURED_MS);
  const { p50, p95, fps } = await subscriber.evaluate(() => window.report());
  console.log(JSON.stringify({ joinToFirstFrameMs, p50Ms: p50, p95Ms: p95, fps }));
  for (const window of [subscriber, publisher]) {
    await window.evaluate(() => window.stop());
    await window.close();
  }
}
await electron.close();
