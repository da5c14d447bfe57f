// node bench/plot.mjs RESULT.json OUT.svg: bars of bench `frames` for 16 streams, one group a figure.
import { readFileSync, writeFileSync } from 'node:fs';

const [input, output] = process.argv.slice(2);
const { rows } = JSON.parse(readFileSync(input, 'utf8'));
const FPS = 30;
const NAMES = {
  ours: 'this package',
  'animation-frame-poll': 'polled in requestAnimationFrame',
  'new-array-buffer': 'a new ArrayBuffer a frame',
  'webgl-one-buffer': "one buffer, WebGL (the vendor's way)",
};
const COLOURS = { ours: '#1463ff' };
const GROUPS = [
  { title: 'frames not drawn, %', value: (row) => row.framesLostPercent },
  { title: 'picture ready until drawn, p50, ms', value: (row) => row.readyToDrawnP50Ms },
  {
    title: 'CPU of all processes for a drawn frame, ms',
    value: (row) => (row.allProcessesPercent * 10) / (row.streams * FPS * (1 - row.framesLostPercent / 100)),
  },
];
const LEFT = 260;
const WIDTH = 760;
const BAR = 17;

const shown = Object.keys(NAMES).map((way) => rows.find((row) => row.streams === 16 && row.size === 'full' && row.way === way));
let y = 22;
const parts = [];
for (const { title, value } of GROUPS) {
  parts.push(`<text x="0" y="${y}" font-weight="600">${title}</text>`);
  y += 10;
  const values = shown.map(value);
  const largest = Math.max(...values);
  shown.forEach((row, index) => {
    const length = Math.max(1, (values[index] / largest) * (WIDTH - LEFT - 70));
    const middle = y + BAR / 2 + 4;
    parts.push(
      `<text x="${LEFT - 8}" y="${middle}" text-anchor="end">${NAMES[row.way]}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 3}" fill="${COLOURS[row.way] ?? '#a9b3c1'}"/>`,
      `<text x="${(LEFT + length + 6).toFixed(1)}" y="${middle}">${values[index].toFixed(1)}</text>`,
    );
    y += BAR;
  });
  y += 26;
}
const text = 'font-family="system-ui, DejaVu Sans, sans-serif" font-size="12.5" fill="#1d2530"';
writeFileSync(
  output,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 ${WIDTH + 20} ${y}" width="${WIDTH + 20}"><rect x="-10" width="100%" height="100%" fill="#fff"/><g ${text}>\n${parts.join('\n')}\n</g></svg>\n`,
);
