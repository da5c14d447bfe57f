// A certificate authority of one's own, as companies have them, made with openssl.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const openssl = (cwd, ...args) => execFileSync('openssl', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

const missing = (tool, why) => (spawnSync(tool, ['--help']).error ? why : false);

/** Why there are no certificates, and none that browsers trust, for the option `skip` of a test. */
export const noOpenssl = missing('openssl', 'there is no openssl to make certificates with');
export const noCertutil = missing('certutil', 'no CA can be added to browsers (apt-get install libnss3-tools)');

/** A folder with a CA. `remove` deletes it. */
export function makeAuthority() {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'));
  const path = (name) => join(folder, name);
  openssl(folder, 'req', '-x509', ...EC, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', '/CN=Company Root');
  let serial = 0;
  return {
    ca: path('ca.pem'),
    /** A certificate for these names and addresses, with its key. */
    issue(...names) {
      const name = `server${(serial += 1)}`;
      const alternatives = names.map((it) => `${/^[\d.]+$|:/.test(it) ? 'IP' : 'DNS'}:${it}`).join();
      writeFileSync(path(`${name}.ext`), `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`);
      openssl(folder, 'req', ...EC, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${names[0]}`);
      const days = ['-days', '30', '-set_serial', String(serial), '-extfile', `${name}.ext`];
      openssl(folder, 'x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', `${name}.pem`, ...days);
      return { cert: path(`${name}.pem`), key: path(`${name}.key`) };
    },
    /** A home folder whose browsers trust the CA; needs `certutil`. */
    trustingHome() {
      const database = path('.pki/nssdb');
      execFileSync('mkdir', ['-p', database]);
      const run = (...args) => execFileSync('certutil', ['-d', `sql:${database}`, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
      run('-N', '--empty-password');
      run('-A', '-t', 'C,,', '-n', 'company', '-i', path('ca.pem'));
      return folder;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
