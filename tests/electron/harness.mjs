// Starts Electron with the test application and hands out its window.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';

const app = join(dirname(fileURLToPath(import.meta.url)), 'app');

/** `args` are Chromium's, for example `--force-device-scale-factor=2`. */
export async function launch({ page = 'page.html', args = [] } = {}) {
  const env = { ...process.env, TEST_PAGE: page };
  return _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', ...args, app], env });
}

/** Waits until `read` returns a value that `accept` accepts; fails with the last value. */
export async function eventually(read, accept, timeoutMs = 5000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Colour of a point of the window as it is shown, [red, green, blue]. */
export async function shownColour(app, page, x, y) {
  const window = await app.browserWindow(page);
  return window.evaluate(
    async (window, { x, y }) => {
      const image = await window.webContents.capturePage({ x, y, width: 2, height: 2 });
      const [blue, green, red] = image.toBitmap();
      return [red, green, blue];
    },
    { x, y },
  );
}

/** Colours that tests draw: as CSS, and as RGB. */
export const ORANGE = 0xe06010;
export const ORANGE_RGB = [0xe0, 0x60, 0x10];
export const TEAL = 0x104080;
export const TEAL_RGB = [0x10, 0x40, 0x80];

export const near = (expected) => (colour) => expected.every((value, index) => Math.abs(value - colour[index]) <= 6);
