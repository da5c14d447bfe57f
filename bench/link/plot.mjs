// node bench/link/plot.mjs RESULT.json > docs/link.svg: the video bitrate in the course of a call whose uplink
// carries 3, 1 and 4 Mbit/s, for this package and its peers.
import { readFileSync } from 'node:fs';
import { STEPS } from './cases.mjs';

const { courses } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const NAMES = { ours: 'this package', chromium: 'livekit-client (Chromium)', libwebrtc: '@livekit/rtc-node (libwebrtc)' };
const COLOURS = { ours: '#0072b2', chromium: '#d55e00', libwebrtc: '#009e73' };
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [860, 320, 50, 30, 40];
const [SECONDS, MAX_MBPS, BIN_SECONDS, SMOOTHED] = [60, 5, 0.1, 10];
const x = (at) => LEFT + (at / SECONDS) * (WIDTH - LEFT - 10);
const y = (mbps) => TOP + (1 - Math.min(mbps, MAX_MBPS) / MAX_MBPS) * (HEIGHT - TOP - BOTTOM);
const line = (points, style) =>
  `<polyline fill="none" ${style} points="${points.map(([at, mbps]) => `${x(at).toFixed(1)},${y(mbps).toFixed(1)}`).join(' ')}"/>`;
const text = (at, mbps, anchor, words, more = '') => `<text x="${x(at)}" y="${y(mbps)}" text-anchor="${anchor}"${more}>${words}</text>`;

/** Mbit/s, each over a second. */
function rate(bins) {
  const windows = Array.from({ length: Math.floor(bins.length / 5) - 2 }, (_, index) => bins.slice(index * 5, index * 5 + SMOOTHED));
  return windows.map((bins, index) => {
    const bytes = bins.reduce((sum, value) => sum + value, 0);
    return [index * 5 * BIN_SECONDS + 0.5, (bytes * 8) / (bins.length * BIN_SECONDS * 1e6)];
  });
}

const capacity = STEPS.flatMap(([from, bps]) => [[from / 1000, bps / 1e6], [from / 1000 + 20, bps / 1e6]]);
const shown = courses.filter((course) => course.case === '3, 1, 4 Mbit/s' && NAMES[course.variant]);
const grid = [0, 1, 2, 3, 4, 5].map((mbps) =>
  `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${y(mbps)}" y2="${y(mbps)}" stroke="#ddd"/>${text(-0.5, mbps - 0.07, 'end', mbps)}`);
const ticks = [0, 10, 20, 30, 40, 50, 60].map((at) => text(at, -0.4, 'middle', `${at} s`));
const legend = shown.map(({ variant }, index) =>
  text(2 + index * 15, 4.7, 'start', NAMES[variant], ` fill="${COLOURS[variant]}" font-weight="bold"`));

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${grid.join('\n')}
${ticks.join('\n')}
${text(0, 5.15, 'start', 'Mbit/s of video at the subscriber; the uplink has 50 ms round trip and a drop-tail queue of 300 ms, and carries the dashed line')}
${line(capacity, 'stroke="#999" stroke-width="2" stroke-dasharray="6 3"')}
${shown.map(({ variant, picture }) => line(rate(picture), `stroke="${COLOURS[variant]}" stroke-width="1.5"`)).join('\n')}
${legend.join('\n')}
</svg>`);
