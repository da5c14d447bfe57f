const { app, BrowserWindow, ipcMain } = require('electron');
const { readFileSync } = require('fs');
const { join } = require('path');

const MS_PER_TICK = 10;

/** CPU time of a process in milliseconds, user and system. */
function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

ipcMain.handle('cpu', () => app.getAppMetrics().reduce((sum, { pid }) => sum + cpuMs(pid), 0));

app.whenReady().then(() => {
  const window = new BrowserWindow({
    width: 1280,
    height: 800,
    useContentSize: true,
    webPreferences: { nodeIntegration: true, contextIsolation: false, backgroundThrottling: false },
  });
  return window.loadFile(join(__dirname, 'page.html'));
});
