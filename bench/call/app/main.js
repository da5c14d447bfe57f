const { app, BrowserWindow } = require('electron');
const { readFileSync } = require('fs');
const { join } = require('path');

const MS_PER_TICK = 10;

/** CPU time of a process in milliseconds, user and system. */
function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** CPU time of all processes and of the window's own process. */
global.cpu = (window) => ({
  all: app.getAppMetrics().reduce((sum, { pid }) => sum + cpuMs(pid), 0),
  own: cpuMs(window.webContents.getOSProcessId()),
});

/** Opens a window with a page of the app. */
global.openWindow = async (page, name) => {
  const window = new BrowserWindow({
    width: 760,
    height: 480,
    useContentSize: true,
    webPreferences: { nodeIntegration: true, contextIsolation: false, backgroundThrottling: false },
  });
  await window.loadFile(join(app.getAppPath(), page), { query: { name } });
  return window;
};

app.on('window-all-closed', () => {});
app.whenReady();
