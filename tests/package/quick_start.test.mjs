// The packed tarball in a fresh project: the vendor's quick start, call by call, through window.require.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';
import { eventually } from '../electron/harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
let project;

const npm = (cwd, ...args) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

before(() => {
  project = mkdtempSync(join(tmpdir(), 'zego-quick-start-'));
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--json', '--pack-destination', project));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'quick-start', version: '1.0.0', main: 'main.js' }));
  npm(project, 'install', '--no-audit', '--no-fund', '--no-package-lock', join(project, filename));
  cpSync(join(here, 'quick_start_app'), project, { recursive: true });
});

after(() => rmSync(project, { recursive: true, force: true }));

const launch = () =>
  _electron.launch({
    executablePath: electronPath(),
    args: ['--no-sandbox', project],
    env: { ...process.env, ZEGO_FAKE_CAMERA: 'pattern', ZEGO_FAKE_MICROPHONE: 'tone', ZEGO_FAKE_SPEAKER: 'null' },
  });

const states = (page, event) => page.evaluate((name) => events.filter((e) => e.name === name).map((e) => e.param.state), event);

/** Number of colours in the middle of a canvas. Video has many, an empty canvas one. */
const colours = (page, id) =>
  page.evaluate((id) => {
    const canvas = document.getElementById(id);
    if (!canvas.width || !canvas.height) return 0;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4 * 97) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    return seen.size;
  }, id);

test('two users call each other with the code of the quick start, from the tarball', async () => {
  const app = await launch();
  try {
    const b = await app.firstWindow();
    await b.evaluate(() => start('TheUserB'));
    await eventually(() => states(b, 'onRoomStateUpdate'), (list) => list.join() === '1,2', 15000);
    await b.evaluate(() => publishAndPreview('streamB'));
    await eventually(() => states(b, 'onPublisherStateUpdate'), (list) => list.join() === '1,2', 15000);
    await eventually(() => colours(b, 'localCanvas'), (count) => count > 5, 5000);

    const opened = app.waitForEvent('window');
    await app.evaluate(({ app }) => app.emit('open-another'));
    const a = await opened;
    await a.evaluate(() => start('TheUserA'));
    const added = await eventually(
      () => a.evaluate(() => events.find((e) => e.name === 'onRoomStreamUpdate' && e.param.updateType === 0)?.param),
      (param) => param !== undefined,
      15000,
    );
    assert.equal(added.streamList[0].streamID, 'streamB');
    assert.equal(added.streamList[0].user.userID, 'TheUserB');
    await a.evaluate(() => play('streamB'));
    await eventually(() => states(a, 'onPlayerStateUpdate'), (list) => list.join() === '1,2', 15000);
    await eventually(() => colours(a, 'remoteCanvas'), (count) => count > 5, 10000);

    await b.evaluate(() => stopPublishing());
    await eventually(() => states(b, 'onPublisherStateUpdate'), (list) => list.join() === '1,2,0', 5000);
    const deleted = await eventually(
      () => a.evaluate(() => events.find((e) => e.name === 'onRoomStreamUpdate' && e.param.updateType === 1)?.param),
      (param) => param !== undefined,
      5000,
    );
    assert.equal(JSON.parse(deleted.extendedData).stream_delete_reason[0].code, 1);
    await a.evaluate(() => stopPlaying('streamB'));
    await eventually(() => states(a, 'onPlayerStateUpdate'), (list) => list.join() === '1,2,0', 5000);
    await a.evaluate(() => leave());
    await eventually(() => states(a, 'onRoomStateUpdate'), (list) => list.join() === '1,2,0', 5000);
    const errors = (page) => page.evaluate(() => events.filter((e) => e.param?.errorCode).concat(rejections));
    assert.deepEqual(await errors(a), []);
    assert.deepEqual(await errors(b), []);
    await a.evaluate(() => destroy());
    await assert.rejects(a.evaluate(() => play('streamB')), /1000001|destroyed|created/);
  } finally {
    await app.close();
  }
});

test('the package has what it needs and nothing that is large or private', () => {
  const [{ files }] = JSON.parse(npm(root, 'pack', '--json', '--dry-run'));
  const names = files.map((file) => file.path);
  for (const name of ['ZegoExpressEngine.js', 'ZegoExpressDefines.js', 'ZegoExpressErrorCode.js', 'index.d.ts', 'README.md']) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(names.some((name) => name.endsWith('.node')));
  assert.ok(names.every((name) => !/^(crates|src|tests|bench|target|node_modules)\//.test(name)));
});

test('plain Node can require every documented path, with and without .js', () => {
  const script = `
    const assert = require('node:assert');
    for (const name of ['', '/ZegoExpressEngine', '/ZegoExpressEngine.js', '/ZegoExpressDefines', '/ZegoExpressDefines.js',
      '/ZegoExpressErrorCode', '/ZegoExpressErrorCode.js']) require('zego-express-engine-electron' + name);
    const engine = require('zego-express-engine-electron/ZegoExpressEngine');
    assert.strictEqual(engine, require('zego-express-engine-electron'));
    assert.match(engine.getVersion(), /\\d/);
    assert.strictEqual(Object.keys(require('zego-express-engine-electron/ZegoExpressDefines')).length >= 91, true);
    assert.strictEqual(Object.keys(require('zego-express-engine-electron/ZegoExpressErrorCode')).length >= 1, true);
  `;
  execFileSync(process.execPath, ['-e', script], { cwd: project, stdio: 'inherit' });
});
