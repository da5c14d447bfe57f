// Debian's Firefox with fake devices. Playwright only drives its own build of Firefox, so this one
// is driven over WebDriver BiDi.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const PATHS = [process.env.FIREFOX_PATH, '/usr/bin/firefox-esr'];
const executablePath = PATHS.find((path) => path && existsSync(path));

/** The `skip` option of a test: the reason why tests in this browser cannot run here, or false. */
export const noFirefox = executablePath ? false : 'no Firefox here (apt-get install firefox-esr, or FIREFOX_PATH)';

/**
 * Firefox negotiates H.264 where it finds its OpenH264 plug-in, which it loads from the internet. The description of the
 * plug-in is enough for that; video is then decoded by the system's ffmpeg. Only the plug-in encodes.
 */
function describePlugIn() {
  const folder = mkdtempSync(join(tmpdir(), 'firefox-'));
  const plugIn = join(folder, 'gmp-gmpopenh264', '1.0');
  mkdirSync(plugIn, { recursive: true });
  const apis = 'encode-video[h264], decode-video[h264]';
  writeFileSync(join(plugIn, 'gmpopenh264.info'), `Name: gmpopenh264\nDescription: OpenH264\nVersion: 1.0\nAPIs: ${apis}\n`);
  writeFileSync(join(plugIn, 'libgmpopenh264.so'), '');
  return { folder, plugIn };
}

/** A Firefox that publishes and receives VP8; with `receivesH264` it publishes no video. */
export async function launchFirefox({ receivesH264 = false } = {}) {
  const described = receivesH264 ? describePlugIn() : undefined;
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    env: { ...process.env, ...(described && { MOZ_GMP_PATH: described.plugIn }) },
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0,
      'media.navigator.mediadatadecoder_h264_enabled': true,
      'media.ffmpeg.enabled': true,
    },
  });
  if (described) browser.once('disconnected', () => rmSync(described.folder, { recursive: true, force: true }));
  return browser;
}
