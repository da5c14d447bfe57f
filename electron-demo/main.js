'use strict';

const { app, BrowserWindow, ipcMain } = require('electron');
const path = require('path');

// `--check` runs a call between two windows and reports on the standard output.
const checking = process.argv.includes('--check');
let participants = 0;

// Fake devices need no GPU; without one the software compositor is faster.
if (checking) app.disableHardwareAcceleration();

function openParticipant(query = {}) {
  participants += 1;
  const window = new BrowserWindow({
    width: 1180,
    height: 960,
    x: 40 + (participants - 1) * 60,
    y: 10 + (participants - 1) * 40,
    backgroundColor: '#f4f5f7',
    title: `Participant ${participants}`,
    webPreferences: { nodeIntegration: true, contextIsolation: false, backgroundThrottling: false },
  });
  window.setMenuBarVisibility(false);
  window.loadFile(path.join(__dirname, 'index.html'), { query: { n: String(participants), ...query } });
  window.on('page-title-updated', (event) => event.preventDefault());
  return window;
}

ipcMain.on('open-participant', () => openParticipant());

app.whenReady().then(async () => {
  if (!checking) {
    openParticipant();
    return;
  }
  const { runCheck } = require('./check_main');
  const code = await runCheck(openParticipant);
  app.exit(code);
});

app.on('window-all-closed', () => {
  if (!checking) app.quit();
});
