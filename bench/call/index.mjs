// A call between two windows on loopback through the room server: latency, join time and
// CPU time, beside the same call by livekit-client, Chromium's own WebRTC, drawn on a canvas too.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';
import { endAll, startServer } from '../../tests/node/harness.mjs';
import { median, round } from '../numbers.mjs';

export const needsScreen = true;

const app = join(dirname(fileURLToPath(import.meta.url)), 'app');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const WARM_MS = 2000;
const LATENCY_MS = 4000;
const MEASURED_MS = 5000;
const VARIANTS = { ours: 'page.html', 'livekit-client': 'peer.html' };
const CASES = [
  { name: '360p15', config: size(640, 360, 15, 600) },
  { name: '720p30', config: size(1280, 720, 30, 1800) },
];

function size(width, height, fps, bitrate) {
  return { captureWidth: width, captureHeight: height, encodeWidth: width, encodeHeight: height, fps, bitrate };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(electron, file, name) {
  const opened = electron.waitForEvent('window');
  await electron.evaluate((_, it) => global.openWindow(it.file, it.name), { file, name });
  const page = await opened;
  await page.waitForFunction(() => typeof window.play === 'function');
  return { page, window: await electron.browserWindow(page) };
}

const cpu = ({ window }) => window.evaluate((window) => global.cpu(window));

async function measure(electron, server, variant, { name, config }, pass) {
  const it = { server, room: `bench-${variant}-${name}-${pass}`, config };
  const publisher = await open(electron, VARIANTS[variant], 'publisher');
  await publisher.page.evaluate(({ server, room, config }) => window.publish(server, room, config), it);
  await sleep(500);
  const subscriber = await open(electron, VARIANTS[variant], 'subscriber');
  const play = ({ server, room, config }) => window.play(server, room, config);
  const joinToFirstFrameMs = await subscriber.page.evaluate(play, it);
  await sleep(WARM_MS);
  await subscriber.page.evaluate(() => window.reset());
  await sleep(LATENCY_MS);
  const report = await subscriber.page.evaluate(() => window.report());
  await subscriber.page.evaluate(() => window.setReading(false));
  const before = [await cpu(publisher), await cpu(subscriber)];
  await sleep(MEASURED_MS);
  const after = [await cpu(publisher), await cpu(subscriber)];
  for (const { page, window } of [subscriber, publisher]) {
    await page.evaluate(() => window.stop());
    await window.evaluate((window) => window.destroy());
  }
  const perSecond = (to, from) => ((to - from) * 1000) / MEASURED_MS;
  return {
    case: name,
    variant,
    fps: report.fps,
    captureToCanvasP50Ms: report.p50,
    captureToCanvasP95Ms: report.p95,
    joinToFirstFrameMs,
    publisherCpuMsPerS: perSecond(after[0].own, before[0].own),
    subscriberCpuMsPerS: perSecond(after[1].own, before[1].own),
    allCpuMsPerS: perSecond(after[0].all, before[0].all),
  };
}

export async function run() {
  const samples = [];
  // A separate server, so that both variants use the same one and no window embeds it.
  const server = await startServer();
  const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', app] });
  try {
    for (let pass = 1; pass <= ROUNDS; pass++) {
      for (const it of CASES) {
        for (const variant of Object.keys(VARIANTS)) {
          const sample = await measure(electron, server.url, variant, it, pass);
          console.error(`round ${pass} of ${ROUNDS}: ${JSON.stringify(sample)}`);
          samples.push(sample);
        }
      }
    }
  } finally {
    await electron.close();
    endAll();
  }
  const groups = CASES.flatMap(({ name }) => Object.keys(VARIANTS).map((variant) => ({ name, variant })));
  const rows = groups.map(({ name, variant }) => {
    const own = samples.filter((it) => it.case === name && it.variant === variant);
    const row = { case: name, variant };
    for (const figure of Object.keys(own[0]).filter((key) => key !== 'case' && key !== 'variant')) {
      const values = own.map((it) => it[figure]);
      row[figure] = round(median(values));
      row[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
    }
    return row;
  });
  const target = (figure, limit, what) => {
    const value = rows.find((row) => row.case === '720p30' && row.variant === 'ours')[figure];
    return { name: what, goal: `<= ${limit}`, value, ok: value <= limit };
  };
  const targets = [
    target('captureToCanvasP50Ms', 70, 'capture to remote canvas p50, 720p30, ms'),
    target('joinToFirstFrameMs', 400, 'createEngine to first remote frame, 720p30, ms'),
  ];
  return { rows, targets };
}
