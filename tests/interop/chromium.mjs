// Debian's Chromium with fake devices, for the join page and for pages of the tests.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const PATHS = [process.env.CHROMIUM_PATH, '/usr/bin/chromium'];
const executablePath = PATHS.find((path) => path && existsSync(path));
export const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
const ARGS = [
  ...FAKE_DEVICES,
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
  '--no-sandbox',
];

/** The `skip` option of a test: the reason why tests in a browser cannot run here, or false. */
export const noBrowser = executablePath ? false : 'no Chromium here (apt-get install chromium, or CHROMIUM_PATH)';

/** `home`: a folder to use as the user's home, for example with trusted certificates. */
export const launchBrowser = ({ home = process.env.HOME } = {}) => chromium.launch({ executablePath, headless: true, args: ARGS, env: { ...process.env, HOME: home } });
