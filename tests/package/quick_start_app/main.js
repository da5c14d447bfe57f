const { app, BrowserWindow } = require('electron');

const open = () =>
  new BrowserWindow({ width: 900, height: 500, webPreferences: { nodeIntegration: true, contextIsolation: false } }).loadFile('index.html');

app.whenReady().then(open);
app.on('open-another', open);
