// `livekit-client` in a browser, driven from here.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../../scripts/electron.mjs';
import { FAKE_DEVICES, launchBrowser } from '../chromium.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const FILES = {
  '/': [join(here, 'page.html'), 'text/html'],
  '/page.mjs': [join(here, 'page.mjs'), 'text/javascript'],
  '/view.mjs': [join(here, 'view.mjs'), 'text/javascript'],
  '/livekit-client.umd.js': [join(root, 'node_modules/livekit-client/dist/livekit-client.umd.js'), 'text/javascript'],
};

async function servePage() {
  const http = createServer(({ url }, response) => {
    const [path, type] = FILES[url] ?? [];
    response.writeHead(path ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(path ? readFileSync(path) : '');
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return http;
}

/** A client in the page: every call goes there. */
class PageClient {
  #page;
  #close;

  constructor(page, close) {
    this.#page = page;
    this.#close = close;
  }

  static {
    for (const method of ['connect', 'publishVideo', 'publishAudio', 'send', 'mute', 'setAttributes', 'resize', 'measure', 'report']) {
      PageClient.prototype[method] = function call(argument) {
        return this.#page.evaluate(async ([method, argument]) => {
          const result = await globalThis.client[method](argument);
          return method === 'report' ? result : undefined;
        }, [method, argument]);
      };
    }
  }

  async leave() {
    await this.#page.evaluate(() => globalThis.client.leave()).catch(() => {});
    await this.#close();
  }
}

const ready = (page) => page.waitForFunction(() => globalThis.client);

/** Debian's Chromium; each client has its own context. */
export async function startChromium(options) {
  const http = await servePage();
  const browser = await launchBrowser(options);
  const newClient = async () => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${http.address().port}/`);
    await ready(page);
    return new PageClient(page, () => context.close());
  };
  const stop = async () => {
    await browser.close();
    http.close();
  };
  return { newClient, stop };
}

/** Electron; each client is its own process. */
export async function startElectron() {
  const http = await servePage();
  const env = { ...process.env, TEST_URL: `http://127.0.0.1:${http.address().port}/` };
  const newClient = async () => {
    const args = ['--no-sandbox', ...FAKE_DEVICES, join(here, 'electron.cjs')];
    const app = await _electron.launch({ executablePath: electronPath(), args, env });
    const page = await app.firstWindow();
    await ready(page);
    return new PageClient(page, () => app.close());
  };
  return { newClient, stop: async () => void http.close() };
}
