// Debian's Chromium with a camera and a microphone that are not real, for the join page and for pages of tests.
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

/** Why tests in a browser cannot run here, for the option `skip` of a test; false where they can. */
export const noBrowser = executablePath ? false : 'no Chromium here (apt-get install chromium, or CHROMIUM_PATH)';

/** `home`: a folder that stands for that of the user, as with certificates that are trusted there. */
export const launchBrowser = ({ home = process.env.HOME } = {}) => chromium.launch({ executablePath, headless: true, args: ARGS, env: { ...process.env, HOME: home } });
