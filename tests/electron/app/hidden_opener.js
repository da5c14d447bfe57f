// A page that is hidden while a window that it opened shows a canvas. Driven from here: a page under a test driver never
// becomes hidden. Prints one line of JSON.
const { app, BrowserWindow } = require('electron');
const { join } = require('path');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(read, accept) {
  for (let tries = 0; ; tries++) {
    const value = await read();
    if (accept(value) || tries > 300) return value;
    await sleep(50);
  }
}

async function run() {
  const opener = new BrowserWindow({
    width: 600,
    height: 400,
    webPreferences: { nodeIntegration: true, contextIsolation: false },
  });
  await opener.loadFile(join(__dirname, 'page.html'));
  const inPage = (code) => opener.webContents.executeJavaScript(code, true);
  const created = new Promise((resolve) => app.once('browser-window-created', (_event, window) => resolve(window)));
  await inPage(`void (window.other = window.open('about:blank', '', 'width=800,height=600'))`);
  const popOut = await created;
  await inPage(`
    window.canvas = window.other.document.createElement('canvas');
    window.canvas.style.cssText = 'position: absolute; left: 0; top: 0; width: 320px; height: 180px';
    window.other.document.body.append(window.canvas);
    window.id = window.show('s', window.canvas, { colour: 0xe06010, width: 1280, height: 720 });
    0`);
  const drawn = async () => JSON.parse(await inPage('native.viewStats(window.id)')).drawn;
  await until(drawn, (count) => count > 0);
  opener.hide();
  const visibility = await until(() => inPage('document.visibilityState'), (state) => state === 'hidden');
  const before = await drawn();
  const goesOn = (await until(drawn, (count) => count >= before + 30)) >= before + 30;
  await inPage(`window.canvas.style.cssText += 'width: 640px; height: 360px'; 0`);
  const size = await until(() => inPage('window.canvas.width + "x" + window.canvas.height'), (it) => it === '640x360');
  const colour = async () => {
    const [blue, green, red] = (await popOut.webContents.capturePage({ x: 600, y: 330, width: 2, height: 2 })).toBitmap();
    return [red, green, blue].join();
  };
  const shown = await until(colour, (it) => it === '224,96,16');
  // Conversely a hidden window costs nothing and has its frame at once when it is shown again.
  popOut.hide();
  const rests = await until(
    async () => {
      const first = await drawn();
      await sleep(300);
      return (await drawn()) - first;
    },
    (frames) => frames === 0,
  );
  const rested = await drawn();
  popOut.show();
  const comesBack = (await until(drawn, (count) => count > rested)) > rested;
  console.log(JSON.stringify({ visibility, goesOn, size, shown, rests, comesBack }));
}

app.on('window-all-closed', () => {});
app.whenReady().then(run).then(() => app.exit(0), (error) => (console.error(error), app.exit(1)));
