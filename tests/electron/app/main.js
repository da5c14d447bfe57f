// A window with a page that can use Node, as applications of the SDK have it. Counts renderers that were lost.
const { app, BrowserWindow } = require('electron');
const { join } = require('path');

global.gone = [];
global.openWindow = async () => {
  const window = new BrowserWindow({
    width: 1000,
    height: 700,
    useContentSize: true,
    webPreferences: {
      nodeIntegration: true,
      contextIsolation: false,
      nodeIntegrationInWorker: true,
      backgroundThrottling: false,
    },
  });
  await window.loadFile(join(__dirname, process.env.TEST_PAGE ?? 'page.html'));
  return window;
};

app.on('render-process-gone', (_event, _contents, details) => global.gone.push(details.reason));
// Tests close the last window and open another.
app.on('window-all-closed', () => {});
app.whenReady().then(global.openWindow);
