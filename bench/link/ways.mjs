// Who calls: this package and Chromium, each in windows of one Electron, and libwebrtc in Node processes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** One side: `call` runs a method of its page or process. */
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

/** This package once more, heard too: its pictures then come with their sound. */
export const WITH_SOUND = 'ours, with sound';

/** This package plays what a stock client publishes that knows no options. */
export const FROM_STOCK = 'ours, from a stock publisher of VP8';

/** Names of the ways with a function each that starts a side. */
export async function openWays() {
  const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', join(here, 'app')] });
  return {
    start: {
      ours: (name) => window(electron, 'ours.html', name),
      [WITH_SOUND]: (name) => window(electron, 'ours.html', name),
      [FROM_STOCK]: (name) => (name === 'publisher' ? nodeProcess(name) : window(electron, 'ours.html', name)),
      chromium: (name) => window(electron, 'chromium.html', name),
      libwebrtc: nodeProcess,
    },
    close: () => electron.close(),
  };
}
