// node bench/frames/plot.mjs RESULT.json > docs/bench-frames.svg: 16 streams at full size by each variant.
import { readFileSync } from 'node:fs';

const NAMES = {
  ours: 'this package',
  'animation-frame-poll': 'polled in requestAnimationFrame',
  'new-array-buffer': 'a new ArrayBuffer a frame',
  'webgl-one-buffer': "one buffer, WebGL (the vendor's)",
};
const FRAMES_A_SECOND = 16 * 30;
const FIGURES = {
  'frames not drawn, %': (row) => row.framesLostPercent,
  'frame ready until drawn, p50, ms': (row) => row.readyToDrawnP50Ms,
  'CPU of all processes for a drawn frame, ms': (row) =>
    (row.allProcessesPercent * 10) / (FRAMES_A_SECOND * (1 - row.framesLostPercent / 100)),
};
const [LEFT, LONGEST, STEP] = [260, 430, 17];

const { rows } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const variants = Object.keys(NAMES).map((variant) => rows.find((row) => row.variant === variant && row.size === 'full' && row.streams === 16));

function bars([title, figure], index) {
  const top = 22 + index * 104;
  const most = Math.max(...variants.map(figure));
  const lines = variants.map((row, place) => {
    const [y, value] = [top + 10 + place * STEP, figure(row)];
    const width = Math.max(1, (value / most) * LONGEST);
    return `<text x="${LEFT - 8}" y="${y + 12.5}" text-anchor="end">${NAMES[row.variant]}</text>
<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="14" fill="${row.variant === 'ours' ? '#1463ff' : '#a9b3c1'}"/>
<text x="${(LEFT + width + 6).toFixed(1)}" y="${y + 12.5}">${value.toFixed(1)}</text>`;
  });
  return [`<text x="0" y="${top}" font-weight="600">${title}</text>`, ...lines].join('\n');
}

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 780 334" width="780">\
<rect x="-10" width="100%" height="100%" fill="#fff"/>\
<g font-family="system-ui, DejaVu Sans, sans-serif" font-size="12.5" fill="#1d2530">
${Object.entries(FIGURES).map(bars).join('\n')}
</g></svg>`);
