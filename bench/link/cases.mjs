// The emulated links and the figures of a call over each.
const OUTAGE_MS = 1000;
const OUTAGES = [4000, 12_000, 20_000];
export const STEPS = [[0, 3e6], [20_000, 1e6], [40_000, 4e6]];
export const OPENS_MS = 12_000;
const OPEN_BPS = 20e6;

/**
 * side: whose link is bad, in both directions. kbps: the encoder's bitrate limit. before: the link while the call starts.
 * link: the link after that; its times start when the call is up. warmMs: time before the measurement. measuredMs: its length.
 * inTimeMs: a frame that is older when it is shown is late.
 */
export const CASES = [
  lossy('5 % loss, 50 ms', 'publisher', { loss: 0.05, delayMs: 25 }, 200),
  lossy('5 % loss, 150 ms', 'publisher', { loss: 0.05, delayMs: 75 }, 400),
  lossy('10 % in bursts of 4, 80 ms', 'publisher', { loss: 0.1, burst: 4, delayMs: 40 }, 400),
  lossy('5 % loss, 50 ms, at the subscriber', 'subscriber', { loss: 0.05, delayMs: 25 }, 200),
  {
    name: '3, 1, 4 Mbit/s',
    side: 'publisher',
    kbps: 5000,
    before: { delayMs: 25, capacity: [[0, 3e6]] },
    link: { delayMs: 25, capacity: STEPS },
    warmMs: 0,
    measuredMs: 60_000,
    inTimeMs: 200,
    figures: (it) => ({ ...steps(it), ...common(it) }),
  },
  {
    name: 'from 0.5 Mbit/s to an open link',
    side: 'publisher',
    kbps: 4000,
    before: { delayMs: 25, capacity: [[0, 0.5e6]] },
    link: { delayMs: 25, capacity: [[0, 0.5e6], [OPENS_MS, OPEN_BPS]] },
    warmMs: 0,
    measuredMs: OPENS_MS + 12_000,
    inTimeMs: 200,
    figures: (it) => ({ secondsTo2500Kbps: secondsTo(it.picture, 2.5e6), ...common(it) }),
  },
  {
    name: 'outages of 1 s',
    side: 'publisher',
    kbps: 2500,
    before: { delayMs: 25 },
    link: { delayMs: 25, outages: OUTAGES.map((from) => [from, from + OUTAGE_MS]) },
    warmMs: 0,
    measuredMs: 26_000,
    inTimeMs: 200,
    figures: (it) => ({ ...outages(it), ...common(it) }),
  },
];

function lossy(name, side, link, inTimeMs) {
  const { delayMs } = link;
  return { name, side, kbps: 2500, before: { delayMs }, link, warmMs: 4000, measuredMs: 20_000, inTimeMs, figures: common };
}

/** A time without a new frame that counts as a freeze. */
const FREEZE_MS = 200;
const BIN_MS = 100;

const sum = (list) => list.reduce((total, value) => total + value, 0);
export const quantile = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))];
/** Bits per second of bins of bytes, from and to in milliseconds. */
const rate = (bins, from, to) => (sum(bins.slice(from / BIN_MS, to / BIN_MS)) * 8 * 1000) / (to - from);

/**
 * shown: [when, captured, number] of each shown frame; from, to: the measured time; decoded: frames decoded in it;
 * picture: bytes of video to the subscriber per bin; link: the report of the bad link's loaded direction.
 */
function common({ shown, from, to, decoded, inTimeMs, picture }) {
  const ours = shown.filter(([, taken]) => taken >= from && taken < to);
  const taken = ours.length === 0 ? NaN : (((ours.at(-1)[2] - ours[0][2]) & 0xffff) + 1);
  const late = ours.map(([when, taken]) => when - taken);
  const times = [from, ...shown.map(([when]) => when).filter((when) => when >= from && when < to), to];
  const gaps = times.slice(1).map((time, index) => time - times[index]);
  const freezes = gaps.filter((gap) => gap > FREEZE_MS);
  const percent = (count) => (count / taken) * 100;
  return {
    wholePercent: Math.min(100, percent(decoded)),
    shownPercent: percent(ours.length),
    inTimePercent: percent(late.filter((age) => age <= inTimeMs).length),
    p50Ms: quantile(late, 0.5),
    p95Ms: quantile(late, 0.95),
    p99Ms: quantile(late, 0.99),
    freezes: freezes.length,
    frozenMs: sum(freezes),
    longestGapMs: Math.max(...gaps),
    pictureKbps: rate(picture, 0, to - from) / 1000,
  };
}

function steps({ picture, link }) {
  const figures = {};
  for (const [from, bps] of STEPS) {
    const [settled, end] = [from + 5000, from + 20_000];
    figures[`picture${bps / 1e6}MbitPercent`] = (rate(picture, settled, end) / bps) * 100;
    figures[`use${bps / 1e6}MbitPercent`] = (rate(link.bytes, settled, end) / bps) * 100;
  }
  figures.queueP95Ms = quantile(link.waits.map(([, wait]) => wait), 0.95);
  figures.overflowed = link.overflowed;
  return figures;
}

/** Seconds after the link opened until the video reached this bitrate. */
function secondsTo(picture, bps) {
  for (let at = OPENS_MS; at + 1000 <= picture.length * BIN_MS; at += BIN_MS) {
    if (rate(picture, at, at + 1000) >= bps) return (at + 1000 - OPENS_MS) / 1000;
  }
  return Infinity;
}

function outages({ shown, from }) {
  const ends = OUTAGES.map((at) => from + at + OUTAGE_MS);
  const after = (end, matches) => shown.find((it) => matches(it) && it[0] >= end)?.[0] - end;
  const middle = (values) => quantile(values.map((value) => value || Infinity), 0.5);
  return {
    anyPictureAfterMs: middle(ends.map((end) => after(end, () => true))),
    newPictureAfterMs: middle(ends.map((end) => after(end, ([, taken]) => taken >= end))),
    inTimeAfterMs: middle(ends.map((end) => after(end, ([when, taken]) => taken >= end - 100 && when - taken < 200))),
  };
}
