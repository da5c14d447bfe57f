// Shows one page, without Node in it: Electron as a browser.
'use strict';
const { BrowserWindow, app } = require('electron');

app.whenReady().then(() => {
  const window = new BrowserWindow({ width: 1200, height: 800, webPreferences: { backgroundThrottling: false } });
  window.loadURL(process.env.TEST_URL);
});
app.on('window-all-closed', () => app.quit());
