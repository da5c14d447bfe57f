// Runs the application folder or script given on the command line, as Electron's default app does.
const { app } = require('electron');
const { existsSync, readFileSync } = require('fs');
const { join, resolve } = require('path');

function start(folder) {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return require(folder);
  const description = JSON.parse(readFileSync(manifest, 'utf8'));
  app.setName(description.productName ?? description.name ?? 'app');
  if (description.version) app.setVersion(description.version);
  app.setAppPath(folder);
  return require(join(folder, description.main ?? 'index.js'));
}

const named = process.argv.slice(1).find((argument) => !argument.startsWith('-'));
if (named) {
  start(resolve(named));
} else {
  console.error('usage: electron APPLICATION');
  app.exit(2);
}
