// The vote server's status page as HTML: nothing from elsewhere. All text comes through hono's `html`, which escapes it: cluster names are bytes of
// strangers.
import { html, raw } from "hono/html";
import type { AbsentCluster, AbsentNode } from "../../qnetd/session/known-clusters.ts";
import type { ClusterSnapshot, NodeSnapshot } from "../../qnetd/session/snapshot.ts";
import type { CertificateState } from "../../qnetd/pki/store.ts";
import type { Happened } from "../daemon/lately.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";
import { absentClusterText, absentText, headline, minuteOf, newsOf } from "./qnetd-headline.ts";
import { refreshSeconds } from "./qnetd-page-script.ts";
import { style } from "./qnetd-page-style.ts";
import { plainAddress, plural, printable } from "../cli/text-table.ts";
import { upgradeEventText } from "../upgrade/last-event.ts";

const clustersShownMax = 200;

type Html = ReturnType<typeof html>;

/** What the page shows, and the names of addresses as far as they are known. */
interface Shown {
  readonly status: QnetdStatus;
  readonly nameOf: (address: string) => string | undefined;
}

export function statusHtml(status: QnetdStatus, nameOf: Shown["nameOf"]): Html {
  const { clusters, clustersLeftOut, warnings } = status;
  const all: Shown = { status, nameOf };
  const { isGood, text } = headline(status);
  const shown = clusters.slice(0, clustersShownMax);
  const more = clusters.length - shown.length + clustersLeftOut;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <noscript><meta http-equiv="refresh" content="${refreshSeconds}" /></noscript>
        <script defer src="/page.js"></script>
        <title>
          ${isGood ? "Good" : "Attention"} – vote server,
          ${plural(clusters.length + clustersLeftOut, "cluster")}
        </title>
        ${raw(`<style>${style}</style>`)}
      </head>
      <body>
        <header>
          <h1>Vote server</h1>
          ${factsHtml(status)}
        </header>
        <main>
          ${noticeHtml(isGood ? "good" : "warn", `${isGood ? "Good" : "Attention"}: ${text}`, true)}
          ${warnings.map((warning) => noticeHtml("warn", warning))}
          ${shown.length + status.absent.length === 0 ? firstStepsHtml(status) : ""}
          ${shown.map((cluster) => clusterHtml(all, cluster))}
          ${status.absent.slice(0, clustersShownMax).map((cluster) => absentHtml(all, cluster))}
          ${more > 0 ? noticeHtml("calm", `${plural(more, "more cluster")} not shown here.`) : ""}
          ${status.lately.length > 0 ? latelyHtml(status.lately) : ""}
          ${status.certificates.length > 0 ? certificatesHtml(status.certificates) : ""}
        </main>
        <footer class="soft" role="status">Read again every ${refreshSeconds} seconds.</footer>
      </body>
    </html> `;
}

function factsHtml(status: QnetdStatus): Html {
  const { server, version, clusters, clustersLeftOut, clients, connections } = status;
  const tls = server.tls === "off" ? "without TLS" : `TLS ${server.tls}`;
  return html`<p class="soft">
    ${server.address}:${server.port}, ${tls}, quorate ${version}, since
    ${minuteOf(status.startedAt)} UTC<br />
    ${plural(clusters.length + clustersLeftOut, "cluster")}, ${plural(clients, "node")},
    ${plural(connections, "connection")}
    ${status.upgrade === undefined ? "" : html`<br />Upgrade ${upgradeEventText(status.upgrade)}`}
  </p> `;
}

const marks = { good: "✓", warn: "!", bad: "✗", calm: "–" } as const;
type Mood = keyof typeof marks;

function noticeHtml(mood: Mood, text: string, isHead = false): Html {
  return html`<section class="notice ${mood}${isHead ? " head" : ""}">
    <span aria-hidden="true">${marks[mood]}</span>
    <p>${text}</p>
  </section> `;
}

function stateHtml(mood: Mood, word: string): Html {
  return html`<span class="state ${mood}"
    ><span aria-hidden="true">${marks[mood]}</span>${word}</span
  >`;
}

/** Nobody has come yet: what to type here, and then there. */
function firstStepsHtml({ server }: QnetdStatus): Html {
  const address = ["*", "0.0.0.0", "::"].includes(server.address)
    ? "ADDRESS-OF-THIS-MACHINE"
    : server.address;
  if (server.tls === "off") {
    return html`<section class="card">
      <h2>No cluster is connected</h2>
      <p>On one node of a cluster (nothing is encrypted, nobody shows a certificate):</p>
      <code>quorate qdevice setup ${address} --tls off</code>
    </section> `;
  }
  return html`<section class="card">
    <h2>No cluster is connected</h2>
    <p>On this machine, with the name of the cluster:</p>
    <code>quorate qnetd invite CLUSTER --address ${address}</code>
    <p>It prints the command to type on one node of that cluster.</p>
  </section> `;
}

function absentHtml(all: Shown, cluster: AbsentCluster): Html {
  return html`<section class="card">
    <div class="title">
      <h2><bdi>${nameText(cluster.name)}</bdi></h2>
      ${stateHtml("bad", "Not connected")}
    </div>
    <p>${absentClusterText(all.status, cluster)}.</p>
    <ul>
      ${cluster.nodes.map((node) => absentNodeHtml(all, node))}
    </ul>
  </section> `;
}

function absentNodeHtml({ status, nameOf }: Shown, node: AbsentNode): Html {
  return html`<li class="node">
    <span>${stateHtml("bad", "absent")}</span>
    <span>${absentText(status, node)}${bracketed(nameOf(plainAddress(node.address)))}</span>
  </li> `;
}

function clusterHtml(all: Shown, cluster: ClusterSnapshot): Html {
  const isGood = cluster.concerns.length === 0;
  return html`<section class="card">
    <div class="title">
      <h2><bdi>${nameText(cluster.name)}</bdi></h2>
      ${isGood ? stateHtml("good", "Good") : stateHtml("warn", "Attention")}
    </div>
    <p>${cluster.summary}</p>
    ${newsOf(cluster.concerns).map((news) => html`<p>Attention: ${news}</p>`)}
    <p class="soft">Algorithm ${cluster.algorithm}, tie-breaker ${tieBreakerText(cluster)}</p>
    <ul>
      ${cluster.nodes.map((node) => nodeHtml(all, node))}
      ${cluster.absent.map((node) => absentNodeHtml(all, node))}
    </ul>
  </section> `;
}

function tieBreakerText({ tieBreaker, isKeepingActivePartition }: ClusterSnapshot): string {
  const rule =
    tieBreaker.mode === "nodeId" ? `node ${tieBreaker.nodeId}` : `${tieBreaker.mode} node id`;
  return isKeepingActivePartition ? `the active partition, then ${rule}` : rule;
}

const standings = {
  yes: ["good", "has it"],
  no: ["calm", "no vote"],
  waiting: ["warn", "waiting"],
} as const;

function nodeHtml({ nameOf }: Shown, node: NodeSnapshot): Html {
  const [mood, word] = standings[node.standing];
  const tls = node.isCertificateVerified
    ? "TLS, certificate verified"
    : node.isTlsActive
      ? "TLS"
      : "no TLS";
  const members = node.members.length > 0 ? `members ${node.members.join(", ")}` : "no members yet";
  const address = plainAddress(node.address);
  return html`<li class="node">
    <span>${stateHtml(mood, word)}</span>
    <span
      >${node.why}<br /><span class="soft"
        >node ${node.nodeId}${bracketed(nameOf(address))} at ${address} port ${node.port}, heard
        ${(node.heardMsAgo / 1000).toFixed(1)} s ago, ${members}, ${tls}</span
      ></span
    >
  </li> `;
}

function latelyHtml(lately: readonly Happened[]): Html {
  return html`<section class="card">
    <h2>What happened lately</h2>
    <ul>
      ${lately.map(
        ({ at, level, text }) =>
          html`<li class="line">
            <time datetime="${at}">${at.slice(0, 19).replace("T", " ")} UTC</time>
            <span
              >${level === "notice" ? "" : html`${stateHtml("warn", level)} `}${printable(text, "\u{fffd}")}</span
            >
          </li> `,
      )}
    </ul>
  </section> `;
}

function certificatesHtml(certificates: readonly CertificateState[]): Html {
  return html`<section class="card">
    <h2>Certificates</h2>
    <table>
      <tr>
        <th>Name</th>
        <th>File</th>
        <th>Until</th>
      </tr>
      ${certificates.map(
        ({ file, subject, notAfterMs, daysLeft }) =>
          html`<tr>
            <td><bdi>${nameText(subject)}</bdi></td>
            <td><bdi>${nameText(file)}</bdi></td>
            <td>${new Date(notAfterMs).toISOString().slice(0, 10)} (${plural(daysLeft, "day")})</td>
          </tr>`,
      )}
    </table>
  </section> `;
}

function bracketed(name: string | undefined): string {
  return name === undefined ? "" : ` (${name})`;
}

function nameText(name: string): string {
  return name === "" ? "(no name)" : printable(name, "\u{fffd}");
}
