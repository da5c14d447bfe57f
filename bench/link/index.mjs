// Whole calls over bad links: this package beside Chromium's WebRTC (livekit-client) in the same Electron and libwebrtc
// (@livekit/rtc-node) in Node, all through the same room server and the same seeded link emulator, in real time.
//
// BENCH_ROUNDS, and BENCH_CASES and BENCH_WAYS (regular expressions) make it shorter. The case `reach` is calls from networks
// that let little through (reach.mjs).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAll } from '../../tests/node/harness.mjs';
import { startServerBehindLink } from '../../tests/node/link.mjs';
import { median, round } from '../numbers.mjs';
import { writePicture } from './app/picture.js';
import { CASES, quantile } from './cases.mjs';
import { goals } from './goals.mjs';
import { reach } from './reach.mjs';
import { FROM_STOCK, WITH_SOUND, openWays } from './ways.mjs';

export const needsScreen = true;

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const LATE_MS = 1000;
const SETTLE_MS = 700;
/** Longest time in which a call begins. */
const PATIENCE_MS = 30_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chosen = (names, list) => (list ? names.filter((name) => new RegExp(list).test(name)) : names);

const inTime = (promise, what) =>
  Promise.race([promise, sleep(PATIENCE_MS).then(() => Promise.reject(new Error(`${what} did not happen`)))]);

/** A link in both directions, with a seed of its own in each. What limits the rate does so on the way out. */
function bothWays(side, { capacity = [], ...link }, seed) {
  const [out, back] = [{ ...link, capacity, seed }, { ...link, seed: seed + 1000 }];
  return side === 'publisher' ? { up: out, down: back } : { up: back, down: out };
}

async function measure({ link, server, picture }, start, way, it, seed) {
  const room = `link-${way.replace(/\W+/g, '-')}-${CASES.indexOf(it)}-${seed}`;
  // A stock client's stream has the ID of its user.
  const stream = way === FROM_STOCK ? 'publisher' : 'stream';
  const call = { url: server.url, room, stream, picture, kbps: it.kbps, sound: way === WITH_SOUND };
  const sides = {};
  try {
    for (const [name, method] of [['publisher', 'publish'], ['subscriber', 'play']]) {
      await link.newcomers(name, name === it.side ? bothWays(name, it.before, seed) : {});
      sides[name] = await start(name);
      await inTime(sides[name].call(method, call), `${method} by ${way}`);
      await sleep(SETTLE_MS);
    }
    const { subscriber } = sides;
    await link.change(it.side, bothWays(it.side, it.link, seed));
    await sleep(it.warmMs);
    const { at: from } = await link.mark();
    await subscriber.call('take');
    if (call.sound) await subscriber.call('offsets');
    const before = await subscriber.call('decoded');
    await sleep(it.measuredMs);
    const decoded = (await subscriber.call('decoded')) - before;
    const apart = call.sound ? { lipSyncP95Ms: quantile((await subscriber.call('offsets')).map(Math.abs), 0.95) } : {};
    const ours = { [FROM_STOCK]: [subscriber], ours: [sides.publisher, subscriber], [WITH_SOUND]: [sides.publisher, subscriber] }[way];
    const own = ours && (await Promise.all(ours.map((side) => side.call('stats'))));
    const [out, back] = [await link.report('publisher'), await link.report('subscriber')];
    await sleep(LATE_MS);
    const shown = await subscriber.call('take');
    const most = (flows, way) => flows.map((flow) => flow[way]).sort((a, b) => sum(b.bytes) - sum(a.bytes))[0];
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

/** When and for how long no new picture came, for the log. */
function gaps(shown, from, to) {
  const times = [from, ...shown.map(([when]) => when).filter((when) => when >= from && when < to), to];
  return times.slice(1).flatMap((time, index) => (time - times[index] > 200 ? [[times[index] - from, time - times[index]]] : []));
}

const sum = (list) => list.reduce((total, value) => total + value, 0);

function row(name, way, samples) {
  const result = { case: name, way, rounds: samples.length };
  for (const figure of Object.keys(samples[0].figures)) {
    const values = samples.map(({ figures }) => figures[figure]);
    result[figure] = round(median(values));
    result[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
  }
  return result;
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'link-'));
  const picture = join(folder, 'picture.y4m');
  writePicture(picture);
  const ways = await openWays();
  const samples = [];
  const network = { ...(await startServerBehindLink()), picture };
  try {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      for (const name of chosen(CASES.map(({ name }) => name), process.env.BENCH_CASES)) {
        const it = CASES.find((it) => it.name === name);
        for (const way of chosen(Object.keys(ways.start), process.env.BENCH_WAYS)) {
          // What a stock client's own uplink does to its pictures is measured where it plays itself.
          if (way === FROM_STOCK && it.side === 'publisher') continue;
          // A call that does not even begin is a result as well, but not one with figures.
          const sample = await measure(network, ways.start[way], way, it, seed).catch((error) => ({ error: String(error) }));
          console.error(`round ${seed} of ${ROUNDS}: ${JSON.stringify({ name, way, ...sample, course: undefined })}`);
          samples.push({ name, way, ...sample });
        }
      }
    }
  } finally {
    await ways.close();
    await network.link.stop();
    endAll();
    rmSync(folder, { recursive: true });
  }
  const measured = samples.filter(({ error }) => error === undefined);
  const keys = [...new Set(measured.map(({ name, way }) => `${name}|${way}`))].map((key) => key.split('|'));
  const of = (name, way) => measured.filter((it) => it.name === name && it.way === way);
  const rows = keys.map(([name, way]) => row(name, way, of(name, way)));
  const courses = keys.map(([name, way]) => ({ case: name, way, ...of(name, way)[0].course }));
  const closed = chosen(['reach'], process.env.BENCH_CASES).length > 0 ? await reach(ROUNDS) : { rows: [], targets: [] };
  return { rows: [...rows, ...closed.rows], targets: [...goals(rows), ...closed.targets], courses, failed: samples.filter(({ error }) => error) };
}
