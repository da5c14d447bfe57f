// node bench/bwe/plot.mjs > docs/bandwidth.svg: capacity, estimate and received rate in the course of one call.
import { lab } from '../lab.mjs';

const CAPACITY = [[0, 3], [20, 3], [20, 1], [40, 1], [40, 4], [60, 4]];
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [860, 320, 50, 30, 40];
const [SECONDS, MAX_MBPS] = [60, 5];
const x = (at) => LEFT + (at / SECONDS) * (WIDTH - LEFT - 10);
const y = (mbps) => TOP + (1 - Math.min(mbps, MAX_MBPS) / MAX_MBPS) * (HEIGHT - TOP - BOTTOM);
const point = ([at, mbps]) => `${x(at).toFixed(1)},${y(mbps).toFixed(1)}`;
const line = (points, style) => `<polyline fill="none" ${style} points="${points.map(point).join(' ')}"/>`;
const text = (at, mbps, anchor, words, more = '') => `<text x="${x(at)}" y="${y(mbps)}" text-anchor="${anchor}"${more}>${words}</text>`;

const samples = lab('course', 'steps', '1').filter((_, index) => index % 2 === 0);
const series = (key) => samples.map((sample) => [sample.at, sample[key] / 1e6]);
const grid = [0, 1, 2, 3, 4, 5].map((mbps) => {
  const rule = `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${y(mbps)}" y2="${y(mbps)}" stroke="#ddd"/>`;
  return rule + text(-0.5, mbps - 0.07, 'end', mbps);
});
const ticks = [0, 10, 20, 30, 40, 50, 60].map((at) => text(at, -0.4, 'middle', `${at} s`));
const legend = [['capacity', '#999'], ['estimate', '#0072b2'], ['received', '#d55e00']].map(([name, colour], index) =>
  text(2 + index * 7, 4.7, 'start', name, ` fill="${colour}" font-weight="bold"`));

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${grid.join('\n')}
${ticks.join('\n')}
${text(0, 5.15, 'start', 'Mbit/s, all bytes on an emulated link of 50 ms round trip and 300 ms drop-tail queue, seed 1')}
${line(CAPACITY, 'stroke="#999" stroke-width="2" stroke-dasharray="6 3"')}
${line(series('received').slice(0, -3), 'stroke="#d55e00" stroke-width="1"')}
${line(series('estimate'), 'stroke="#0072b2" stroke-width="1.5"')}
${legend.join('\n')}
</svg>`);
