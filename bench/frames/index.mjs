// The frame path beside other variants of bringing decoded frames from native threads onto canvases, in one Electron.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';
import { must } from '../../scripts/prepare.mjs';
import { median, round } from '../numbers.mjs';

export const needsScreen = true;

const app = join(dirname(fileURLToPath(import.meta.url)), 'app');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const VARIANTS = ['ours', 'new-array-buffer', 'animation-frame-poll', 'webgl-one-buffer'];
const COUNTS = [1, 4, 16];
const SIZES = ['full', 'tiles'];
const FIGURES = ['mainLoadPercent', 'allProcessesPercent', 'readyToDrawnP50Ms', 'readyToDrawnP95Ms', 'framesLostPercent'];

/** One row per case: medians, and the range of each figure over the rounds. */
function summarise(samples) {
  const key = (it) => [it.size, it.streams, it.variant].join(' ');
  return [...new Set(samples.map(key))].map((name) => {
    const own = samples.filter((it) => key(it) === name);
    const { size, streams, variant } = own[0];
    const row = { size, streams, variant };
    for (const figure of FIGURES) {
      const values = own.map((it) => it[figure]);
      row[figure] = round(median(values));
      row[`${figure}Range`] = `${round(Math.min(...values))}-${round(Math.max(...values))}`;
    }
    return row;
  });
}

const summary = (sample) => FIGURES.map((figure) => `${figure} ${round(sample[figure])}`).join(', ');

function target(rows, size, figure, limit, what) {
  const row = rows.find((it) => it.variant === 'ours' && it.streams === 16 && it.size === size);
  const value = row?.[figure] ?? NaN;
  return { name: what, goal: `<= ${limit}`, value, ok: value <= limit };
}

export async function run() {
  must('npm', 'run', '--silent', 'build:bench');
  const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', app] });
  const samples = [];
  try {
    const page = await electron.firstWindow();
    await page.waitForFunction(() => typeof window.measure === 'function');
    for (let pass = 1; pass <= ROUNDS; pass++) {
      for (const size of SIZES) {
        for (const streams of COUNTS) {
          for (const variant of VARIANTS) {
            const sample = await page.evaluate((it) => window.measure(it), { size, streams, variant });
            console.error(`round ${pass} of ${ROUNDS}: ${size}, ${streams} x ${variant}: ${summary(sample)}`);
            samples.push(sample);
          }
        }
      }
    }
  } finally {
    await electron.close();
  }
  const rows = summarise(samples);
  const targets = [
    target(rows, 'full', 'mainLoadPercent', 25, 'main thread, 16 x 720p30 full size, % of a core'),
    target(rows, 'full', 'framesLostPercent', 0, 'frames lost, 16 x 720p30 full size, %'),
    target(rows, 'full', 'readyToDrawnP50Ms', 0.4, 'ready to drawn p50, 16 x 720p30 full size, ms'),
    target(rows, 'tiles', 'mainLoadPercent', 8, 'main thread, 16 tiles of 320x180, % of a core'),
    target(rows, 'tiles', 'framesLostPercent', 0, 'frames lost, 16 tiles of 320x180, %'),
    target(rows, 'tiles', 'readyToDrawnP50Ms', 0.4, 'ready to drawn p50, 16 tiles of 320x180, ms'),
  ];
  return { rows, targets };
}
