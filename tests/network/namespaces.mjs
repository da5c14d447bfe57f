// Networks with firewalls on this machine: network namespaces joined by a router with rules.
// Needs root; nothing outside the namespaces is touched.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files in here, by the name of the namespace, stand for those of /etc inside. */
const ETC = '/etc/netns';
let count = 0;

function must(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

/** A machine with its own network. */
class Host {
  constructor(name) {
    this.namespace = name;
    /** What stands before a command that is to run here. */
    this.prefix = ['ip', 'netns', 'exec', name];
    must('ip', 'netns', 'add', name);
    // IPv6 addresses are valid at once, without duplicate address detection.
    for (const which of ['all', 'default']) this.run('sysctl', '-qw', `net.ipv6.conf.${which}.accept_dad=0`);
    this.run('ip', 'link', 'set', 'lo', 'up');
  }

  run(command, ...args) {
    must(...this.prefix, command, ...args);
  }

  /** Names that are known here: `{ name: [address, …] }`, in the order in which they are looked up. */
  names(names) {
    const lines = Object.entries(names).flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}`));
    mkdirSync(join(ETC, this.namespace), { recursive: true });
    writeFileSync(join(ETC, this.namespace, 'hosts'), ['127.0.0.1 localhost', ...lines, ''].join('\n'));
    // Whoever asks a name server all the same is refused at once.
    writeFileSync(join(ETC, this.namespace, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  }

  remove() {
    spawnSync('ip', ['netns', 'del', this.namespace]);
    rmSync(join(ETC, this.namespace), { recursive: true, force: true });
  }
}

/**
 * A `server` and clients, each in its own network, with a router between. The server is 10.9.0.2 and fd09::2, client
 * number n 10.n.0.2 and fd0n::2.
 */
export class Network {
  #router;
  #hosts = [];
  #cables = 0;
  #prefix = `zx${process.pid.toString(36)}${(count++).toString(36)}`;

  constructor() {
    this.#router = this.#host();
    for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) this.#router.run('sysctl', '-qw', `${key}=1`);
    this.server = this.#host();
    this.#plug(this.server, 9);
    this.serverAddress = '10.9.0.2';
  }

  #host() {
    const host = new Host(`${this.#prefix}-${this.#hosts.length}`);
    this.#hosts.push(host);
    return host;
  }

  #plug(host, subnet) {
    const [near, far] = ['a', 'b'].map((end) => `${this.#prefix}${this.#cables.toString(36)}${end}`);
    this.#cables += 1;
    must('ip', 'link', 'add', near, 'netns', host.namespace, 'type', 'veth', 'peer', 'name', far, 'netns', this.#router.namespace);
    for (const [end, name, last] of [[host, near, 2], [this.#router, far, 1]]) {
      end.run('ip', 'addr', 'add', `10.${subnet}.0.${last}/24`, 'dev', name);
      end.run('ip', '-6', 'addr', 'add', `fd0${subnet}::${last}/64`, 'dev', name);
      end.run('ip', 'link', 'set', name, 'up');
    }
    host.run('ip', 'route', 'add', 'default', 'via', `10.${subnet}.0.1`);
    host.run('ip', '-6', 'route', 'add', 'default', 'via', `fd0${subnet}::1`);
  }

  /** A client number `n`, 1 to 7, of which the router lets everything through. */
  client(n = 1) {
    const host = this.#host();
    this.#plug(host, n);
    return Object.assign(host, { address: `10.${n}.0.2`, subnet: n });
  }

  /** A client in a second network of the server, 10.8.0.0/24, without the router and without a route to the first. */
  neighbour() {
    const host = this.#host();
    const [near, far] = ['a', 'b'].map((end) => `${this.#prefix}n${end}`);
    must('ip', 'link', 'add', near, 'netns', this.server.namespace, 'type', 'veth', 'peer', 'name', far, 'netns', host.namespace);
    for (const [end, name, last] of [[this.server, near, 2], [host, far, 3]]) {
      end.run('ip', 'addr', 'add', `10.8.0.${last}/24`, 'dev', name);
      end.run('ip', '-6', 'addr', 'add', `fd08::${last}/64`, 'dev', name);
      end.run('ip', 'link', 'set', name, 'up');
    }
    return host;
  }

  /** The server reaches only its own networks and these clients. */
  withoutDefaultRoute(...clients) {
    for (const family of ['-4', '-6']) this.server.run('ip', family, 'route', 'del', 'default');
    for (const { subnet } of clients) this.server.run('ip', 'route', 'add', `10.${subnet}.0.0/24`, 'via', '10.9.0.1');
  }

  /**
   * From now on nothing passes between that client and anybody but TCP to these ports (`tcp`), and UDP to those (`udp`);
   * `all` removes the rules.
   */
  firewall(client, { tcp = [], udp = [], all = false } = {}) {
    for (const [tables, network] of [['iptables', `10.${client.subnet}.0.0/24`], ['ip6tables', `fd0${client.subnet}::/64`]]) {
      const chain = `CLIENT${client.subnet}`;
      const rule = (...args) => this.#router.run(tables, ...args);
      if (!client[tables]) {
        rule('-N', chain);
        for (const side of ['-s', '-d']) rule('-A', 'FORWARD', side, network, '-j', chain);
        client[tables] = true;
      }
      rule('-F', chain);
      if (all) continue;
      for (const [protocol, ports] of Object.entries({ tcp, udp })) {
        for (const port of [ports].flat()) {
          const which = port === 'any' ? [] : [port];
          for (const side of ['--dport', '--sport']) rule('-A', chain, '-p', protocol, ...which.flatMap((it) => [side, it]), '-j', 'ACCEPT');
        }
      }
      rule('-A', chain, '-j', 'DROP');
    }
  }

  remove() {
    this.#hosts.forEach((host) => host.remove());
  }
}

/** Why no such networks can be made here, for the option `skip` of a test; false where they can. */
function reason() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'network namespaces need root on Linux';
  for (const tool of ['ip', 'iptables', 'ip6tables']) {
    if (spawnSync(tool, ['-V']).error) return `network namespaces need ${tool} (apt-get install iproute2 iptables)`;
  }
  let network;
  try {
    network = new Network();
    network.firewall(network.client(), { tcp: [1] });
    return false;
  } catch (error) {
    return `no network namespaces with a firewall here: ${error.message}`;
  } finally {
    network?.remove();
  }
}

export const noNetworks = reason();
