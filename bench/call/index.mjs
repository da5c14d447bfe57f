// A call between two windows on loopback through the embedded room server, with fake devices: how late the picture is,
// how long a join takes, and what it costs.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';
import { median, round } from '../numbers.mjs';

export const needsScreen = true;

const app = join(dirname(fileURLToPath(import.meta.url)), 'app');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const WARM_MS = 2000;
const MEASURED_MS = 6000;
const CASES = [
  { name: '360p15', config: size(640, 360, 15, 600) },
  { name: '720p30', config: size(1280, 720, 30, 1800) },
];

function size(width, height, fps, bitrate) {
  return { captureWidth: width, captureHeight: height, encodeWidth: width, encodeHeight: height, fps, bitrate };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(electron, name) {
  const opened = electron.waitForEvent('window');
  await electron.evaluate((_, name) => global.openWindow(name), name);
  const page = await opened;
  await page.waitForFunction(() => typeof window.play === 'function');
  return { page, window: await electron.browserWindow(page) };
}

const cpu = ({ window }) => window.evaluate((window) => global.cpu(window));

async function measure(electron, { name, config }, round) {
  const room = `bench-${name}-${round}`;
  const publisher = await open(electron, 'publisher');
  await publisher.page.evaluate(({ room, config }) => window.publish(room, 'stream', config), { room, config });
  await sleep(500);
  const subscriber = await open(electron, 'subscriber');
  const joinToFirstFrameMs = await subscriber.page.evaluate((room) => window.play(room, 'stream'), room);
  await sleep(WARM_MS);
  await subscriber.page.evaluate(() => window.reset());
  const before = [await cpu(publisher), await cpu(subscriber)];
  await sleep(MEASURED_MS);
  const after = [await cpu(publisher), await cpu(subscriber)];
  const report = await subscriber.page.evaluate(() => window.report());
  for (const { page, window } of [subscriber, publisher]) {
    await page.evaluate(() => window.stop());
    await window.evaluate((window) => window.destroy());
  }
  const perSecond = (to, from) => ((to - from) * 1000) / MEASURED_MS;
  return {
    case: name,
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
  const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', app] });
  try {
    for (let pass = 1; pass <= ROUNDS; pass++) {
      for (const it of CASES) {
        const sample = await measure(electron, it, pass);
        console.error(`round ${pass} of ${ROUNDS}: ${JSON.stringify(sample)}`);
        samples.push(sample);
      }
    }
  } finally {
    await electron.close();
  }
  const rows = CASES.map(({ name }) => {
    const own = samples.filter((it) => it.case === name);
    const row = { case: name };
    for (const figure of Object.keys(own[0]).filter((key) => key !== 'case')) {
      const values = own.map((it) => it[figure]);
      row[figure] = round(median(values));
      row[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
    }
    return row;
  });
  const target = (figure, limit, what) => {
    const value = rows.find((row) => row.case === '720p30')[figure];
    return { name: what, goal: `<= ${limit}`, value, ok: value <= limit };
  };
  const targets = [
    target('captureToCanvasP50Ms', 70, 'capture to remote canvas p50, 720p30, ms'),
    target('joinToFirstFrameMs', 400, 'createEngine to first remote frame, 720p30, ms'),
  ];
  return { rows, targets };
}
