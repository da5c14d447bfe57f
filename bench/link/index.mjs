// Whole calls over bad links: this package beside Chromium's WebRTC (livekit-client) in the same Electron and libwebrtc
// (@livekit/rtc-node) in Node, all through the same room server and the same seeded link emulator, in real time.
//
// BENCH_ROUNDS, and BENCH_CASES and BENCH_VARIANTS (regular expressions) make it shorter. The case `reach` has calls from restricted networks
// (reach.mjs).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAll } from '../../tests/node/harness.mjs';
import { startServerBehindLink } from '../../tests/node/link.mjs';
import { median, round } from '../numbers.mjs';
import { writeTestVideo } from './app/test_video.js';
import { CASES, quantile } from './cases.mjs';
import { goals } from './goals.mjs';
import { reach } from './reach.mjs';
import { FROM_STOCK, WITH_AUDIO, openVariants } from './variants.mjs';

export const needsScreen = true;

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const LATE_MS = 1000;
const SETTLE_MS = 700;
/** Longest time for a call to start. */
const PATIENCE_MS = 30_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chosen = (names, list) => (list ? names.filter((name) => new RegExp(list).test(name)) : names);

const inTime = (promise, what) =>
  Promise.race([promise, sleep(PATIENCE_MS).then(() => Promise.reject(new Error(`${what} did not happen`)))]);

/** A link in both directions, each with its own seed. The capacity applies to the sending direction. */
function bothDirections(side, { capacity = [], ...link }, seed) {
  const [out, back] = [{ ...link, capacity, seed }, { ...link, seed: seed + 1000 }];
  return side === 'publisher' ? { up: out, down: back } : { up: back, down: out };
}

async function measure({ link, server, testVideo }, start, variant, it, seed) {
  const room = `link-${variant.replace(/\W+/g, '-')}-${CASES.indexOf(it)}-${seed}`;
  // A stock client's stream has the ID of its user.
  const stream = variant === FROM_STOCK ? 'publisher' : 'stream';
  const call = { url: server.url, room, stream, testVideo, kbps: it.kbps, audio: variant === WITH_AUDIO };
  const sides = {};
  try {
    for (const [name, method] of [['publisher', 'publish'], ['subscriber', 'play']]) {
      await link.newcomers(name, name === it.side ? bothDirections(name, it.before, seed) : {});
      sides[name] = await start(name);
      await inTime(sides[name].call(method, call), `${method} by ${variant}`);
      await sleep(SETTLE_MS);
    }
    const { subscriber } = sides;
    await link.change(it.side, bothDirections(it.side, it.link, seed));
    await sleep(it.warmMs);
    const { at: from } = await link.mark();
    await subscriber.call('take');
    if (call.audio) await subscriber.call('offsets');
    const before = await subscriber.call('decoded');
    await sleep(it.measuredMs);
    const decoded = (await subscriber.call('decoded')) - before;
    const apart = call.audio ? { lipSyncP95Ms: quantile((await subscriber.call('offsets')).map(Math.abs), 0.95) } : {};
    const ours = { [FROM_STOCK]: [subscriber], ours: [sides.publisher, subscriber], [WITH_AUDIO]: [sides.publisher, subscriber] }[variant];
    const own = ours && (await Promise.all(ours.map((side) => side.call('stats'))));
    const [out, back] = [await link.report('publisher'), await link.report('subscriber')];
    await sleep(LATE_MS);
    const shown = await subscriber.call('take');
    const most = (flows, direction) => flows.map((flow) => flow[direction]).sort((a, b) => sum(b.bytes) - sum(a.bytes))[0];
    const received = most(back, 'down');
    const loaded = it.side === 'publisher' ? most(out, 'up') : received;
    return {
      figures: { ...apart, ...it.figures({
        shown, from, to: from + it.measuredMs, decoded, inTimeMs: it.inTimeMs, picture: received.picture, link: loaded,
      }) },
      own,
      gaps: gaps(shown, from, from + it.measuredMs),
      lostPercent: (loaded.lost / loaded.sent) * 100,
      course: { picture: received.picture, link: loaded.bytes },
    };
  } finally {
    for (const side of Object.values(sides)) {
      await inTime(side.call('stop'), 'stop').catch(() => {});
      await side.close();
    }
  }
}

/** Start and length of gaps between new frames, for the log. */
function gaps(shown, from, to) {
  const times = [from, ...shown.map(([when]) => when).filter((when) => when >= from && when < to), to];
  return times.slice(1).flatMap((time, index) => (time - times[index] > 200 ? [[times[index] - from, time - times[index]]] : []));
}

const sum = (list) => list.reduce((total, value) => total + value, 0);

function row(name, variant, samples) {
  const result = { case: name, variant, rounds: samples.length };
  for (const figure of Object.keys(samples[0].figures)) {
    const values = samples.map(({ figures }) => figures[figure]);
    result[figure] = round(median(values));
    result[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
  }
  return result;
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'link-'));
  const testVideo = join(folder, 'test_video.y4m');
  writeTestVideo(testVideo);
  const variants = await openVariants();
  const samples = [];
  const network = { ...(await startServerBehindLink()), testVideo };
  try {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      for (const name of chosen(CASES.map(({ name }) => name), process.env.BENCH_CASES)) {
        const it = CASES.find((it) => it.name === name);
        for (const variant of chosen(Object.keys(variants.start), process.env.BENCH_VARIANTS)) {
          // A stock client's uplink is measured where it plays its own stream.
          if (variant === FROM_STOCK && it.side === 'publisher') continue;
          // A call that fails to start is a result as well, but without figures.
          const sample = await measure(network, variants.start[variant], variant, it, seed).catch((error) => ({ error: String(error) }));
          console.error(`round ${seed} of ${ROUNDS}: ${JSON.stringify({ name, variant, ...sample, course: undefined })}`);
          samples.push({ name, variant, ...sample });
        }
      }
    }
  } finally {
    await variants.close();
    await network.link.stop();
    endAll();
    rmSync(folder, { recursive: true });
  }
  const measured = samples.filter(({ error }) => error === undefined);
  const keys = [...new Set(measured.map(({ name, variant }) => `${name}|${variant}`))].map((key) => key.split('|'));
  const of = (name, variant) => measured.filter((it) => it.name === name && it.variant === variant);
  const rows = keys.map(([name, variant]) => row(name, variant, of(name, variant)));
  const courses = keys.map(([name, variant]) => ({ case: name, variant, ...of(name, variant)[0].course }));
  const closed = chosen(['reach'], process.env.BENCH_CASES).length > 0 ? await reach(ROUNDS) : { rows: [], targets: [] };
  return { rows: [...rows, ...closed.rows], targets: [...goals(rows), ...closed.targets], courses, failed: samples.filter(({ error }) => error) };
}
