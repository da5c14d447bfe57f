// Variants: this package and Chromium, each in windows of one Electron, and libwebrtc in Node processes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** One side of a call: `call` runs a method of its page or process. */
async function window(electron, file, name) {
  const opened = electron.waitForEvent('window');
  await electron.evaluate((_, it) => global.openWindow(it.file, it.name), { file, name });
  const page = await opened;
  await page.waitForFunction(() => typeof window.play === 'function');
  const handle = await electron.browserWindow(page);
  return {
    call: (method, argument) => page.evaluate(([method, argument]) => window[method](argument), [method, argument]),
    close: () => handle.evaluate((window) => window.destroy()),
  };
}

async function nodeProcess(name) {
  const child = fork(join(here, 'node_peer.mjs'), [name], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  const ended = once(child, 'exit');
  let next = 0;
  const call = (method, ...args) =>
    new Promise((resolve, reject) => {
      const id = next++;
      const answer = (message) => {
        if (message.id !== id) return;
        child.off('message', answer);
        if (message.error) reject(new Error(message.error));
        else resolve(message.value);
      };
      child.on('message', answer);
      ended.then(() => reject(new Error(`${name} ended`)));
      child.send({ id, method, args });
    });
  const close = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  return { call, close };
}

/** This package with audio, so that video waits for lip sync. */
export const WITH_AUDIO = 'ours, with audio';

/** This package plays the stream of a stock client with default options. */
export const FROM_STOCK = 'ours, from a stock publisher of VP8';

/** The variants by name, each with a function that starts a side. */
export async function openVariants() {
  const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', join(here, 'app')] });
  return {
    start: {
      ours: (name) => window(electron, 'ours.html', name),
      [WITH_AUDIO]: (name) => window(electron, 'ours.html', name),
      [FROM_STOCK]: (name) => (name === 'publisher' ? nodeProcess(name) : window(electron, 'ours.html', name)),
      chromium: (name) => window(electron, 'chromium.html', name),
      libwebrtc: nodeProcess,
    },
    close: () => electron.close(),
  };
}
