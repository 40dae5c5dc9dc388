// A place with empty machines for the runbooks: each a throw-away root (test/install/root-lab.ts) with the executable, its links and
// nothing else, on two networks that meet in a hub namespace. What is typed there is what the pages in docs/ tell people to type.
import { match } from "node:assert/strict";
import { execute, type Outcome } from "../install/release-lab.ts";
import { Root } from "../install/root-lab.ts";
import { linkNames } from "../../src/shell/tool/link-names.ts";
import { pending, ready, until } from "../interop/wait.ts";

export interface SiteOptions {
  /** The executable on test. */
  readonly binary: string;
  /** Host names; the n-th is 10.78.0.n on the first network, 10.79.0.n on the second. */
  readonly names: readonly string[];
}

/** The password of every machine's root. */
export const password = "correct horse";

/** What an ordinary service manager does: starts the node again unless it was told to stop, or could not be used (2, 8). */
const service = `echo $$ >/run/service.pid
while :; do
  code=0; quorate node >>/var/log/node.log 2>&1 </dev/null & echo $! >/run/node.pid; wait $! || code=$?
  echo "ended with $code" >>/var/log/node.log
  case $code in 0|2|8) exit ;; esac
  sleep 0.2
done`;

export class Machine {
  readonly name: string;
  /** On the first network, and on the second. */
  readonly addresses: readonly [string, string];
  readonly root: Root;

  constructor(name: string, number: number, root: Root) {
    this.name = name;
    this.addresses = [`10.78.0.${number}`, `10.79.0.${number}`];
    this.root = root;
  }

  /** Types a line at the machine's shell; every outcome is an answer. */
  tries(line: string, stdin = ""): Promise<Outcome> {
    return this.root.run(["sh", "-c", line], {}, stdin);
  }

  /** Types a line that must succeed; answers what it prints on standard output. */
  async types(line: string, stdin = ""): Promise<string> {
    const { code, out, err } = await this.tries(line, stdin);
    if (code !== 0)
      throw new Error(
        `${this.name}: "${line}" ended with ${code}:\n${out}${err}\n${await this.log()}`,
      );
    return out;
  }

  /** Types a line that must end with this code and these words. */
  async refuses(line: string, code: number, words: RegExp, stdin = ""): Promise<void> {
    const answer = await this.tries(line, stdin);
    const said = `${answer.out}${answer.err}`;
    if (answer.code !== code)
      throw new Error(`${this.name}: "${line}" ended with ${answer.code}, not ${code}:\n${said}`);
    match(said, words);
  }

  /** Types the same again and again until it succeeds and prints `words`; for what takes its time on all nodes. */
  async comesTo(line: string, words: RegExp, waitMs = 60_000): Promise<string> {
    return until(
      async () => {
        const { code, out, err } = await this.tries(line);
        return words.test(out) ? ready(out) : pending(`${code}: ${out}${err}`);
      },
      waitMs,
      `${this.name}: "${line}" comes to ${words.source}`,
      200,
    );
  }

  /** Starts the node as a service manager would, and waits until it answers. */
  async start(): Promise<void> {
    await this.types(`setsid sh -uc '${service.replaceAll("'", "'\\''")}' >/dev/null 2>&1 &`);
    await this.comesTo("quorate status || [ $? = 1 ]", /^Tree /m);
  }

  /** SIGTERM, as a service manager stops it. */
  async stop(): Promise<void> {
    await this.types('kill "$(cat /run/node.pid)"');
    await this.ended();
  }

  /** Power off: nothing is said to anybody, nothing starts again. */
  async powerOff(): Promise<void> {
    await this.types('kill -9 "$(cat /run/service.pid)" "$(cat /run/node.pid)"');
    await this.ended();
    await this.tries("umount -l /etc/pve");
  }

  async ended(): Promise<void> {
    await this.comesTo('[ -e "/proc/$(cat /run/service.pid)" ] || echo ended', /ended/);
  }

  /** Drops what comes from and goes to an address. */
  async cut(address: string): Promise<void> {
    const rule = (way: string, side: string): string =>
      `nft add chain inet cut ${way} '{ type filter hook ${way} priority 0; }' && nft add rule inet cut ${way} ip ${side} ${address} drop`;
    await this.types(
      `nft add table inet cut && ${rule("input", "saddr")} && ${rule("output", "daddr")}`,
    );
  }

  async heal(): Promise<void> {
    await this.types("nft delete table inet cut");
  }

  /** The last lines of the node's log. */
  async log(): Promise<string> {
    return (await this.tries("tail -n 40 /var/log/node.log")).out;
  }
}

type Hub = Bun.Subprocess<"pipe", "pipe", "inherit">;

export class Site {
  readonly machines: readonly Machine[];
  readonly #hub: Hub;

  private constructor(machines: readonly Machine[], hub: Hub) {
    this.machines = machines;
    this.#hub = hub;
  }

  static async start({ binary, names }: SiteOptions): Promise<Site> {
    const script =
      "for b in one two; do ip link add $b type bridge; ip link set $b up; done; echo ready; read -r _";
    const hub = Bun.spawn(
      ["unshare", "--net", "--kill-child=SIGKILL", "--fork", "sh", "-euc", script],
      {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    await hub.stdout.getReader().read();
    const machines: Machine[] = [];
    const site = new Site(machines, hub);
    try {
      const hash = (await execute(["openssl", "passwd", "-6", password])).out.trim();
      for (const [index, name] of names.entries()) {
        const root = await Root.start({ kind: "glibc", shape: shapeOf(name, names, hash, binary) });
        const machine = new Machine(name, index + 1, root);
        machines.push(machine);
        await connect(hub.pid, machine);
      }
      return site;
    } catch (error) {
      await site.end();
      throw error;
    }
  }

  async end(): Promise<void> {
    for (const { root } of this.machines) await root.remove();
    this.#hub.kill("SIGKILL");
    await this.#hub.exited;
  }
}

function shapeOf(name: string, names: readonly string[], hash: string, binary: string): string {
  const hosts = names.map((each, index) => `10.78.0.${index + 1} ${each}`);
  return `hostname ${name}; echo ${name} >"$R/etc/hostname"
printf '%s\\n' '127.0.0.1 localhost' ${hosts.map((line) => `'${line}'`).join(" ")} >"$R/etc/hosts"
printf 'root:%s:19000:0:99999:7:::\\n' '${hash}' >"$R/etc/shadow"; chmod 600 "$R/etc/shadow"
cp "${binary}" "$R/usr/local/bin/quorate"
for link in ${linkNames.join(" ")}; do ln -s quorate "$R/usr/local/bin/$link"; done`;
}

/** One cable to each of the hub's bridges. */
async function connect(hub: number, { root, addresses, name }: Machine): Promise<void> {
  const cables = addresses.map(
    (
      address,
      index,
    ) => `ip link add ${name}-${index} type veth peer name eth${index} netns ${root.pid}
ip link set ${name}-${index} master ${index === 0 ? "one" : "two"} up
nsenter --target ${root.pid} --net sh -euc 'ip address add ${address}/24 dev eth${index}; ip link set eth${index} up'`,
  );
  const { code, err } = await execute([
    "nsenter",
    `--target=${hub}`,
    "--net",
    "sh",
    "-euc",
    cables.join("\n"),
  ]);
  if (code !== 0) throw new Error(`${name} has no network: ${err}`);
}
