// The vote server's status page as HTML: one document, nothing from elsewhere, no script. All text comes through hono's `html`, which
// escapes it: cluster names are bytes of strangers.
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { AbsentCluster, AbsentNode } from "../../qnetd/session/known-clusters.ts";
import type { ClusterSnapshot, NodeSnapshot } from "../../qnetd/session/snapshot.ts";
import type { CertificateState } from "../../qnetd/pki/store.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";
import { absentClusterText, absentText, headline, newsOf } from "./qnetd-headline.ts";
import { plainAddress, plural, printable } from "../cli/text-table.ts";
import { upgradeEventText } from "../upgrade/last-event.ts";

const refreshSeconds = 5;
const clustersShownMax = 200;

type Html = ReturnType<typeof html>;

const style = `
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--paper:#fff;--card:#f6f8fa;--line:#d1d9e0;
--yes:#116329;--yesBack:#dafbe1;--no:#57606a;--noBack:#e6eaef;--wait:#7d4e00;--waitBack:#fff1c2;--warn:#fff8c5}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--paper:#0d1117;--card:#151b23;--line:#3d444d;
--yes:#7ee787;--yesBack:#12321d;--no:#b1bac4;--noBack:#2a313c;--wait:#f2cc60;--waitBack:#3b2e0a;--warn:#332a08}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:0}
header{margin-bottom:1rem}.soft{color:var(--soft);font-size:.875rem}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem;margin-bottom:1rem}
section p{margin:.15rem 0}.warn{background:var(--warn)}.good{background:var(--yesBack);color:var(--yes)}
ul{list-style:none;margin:.5rem 0 0;padding:0}li{padding:.5rem 0;border-top:1px solid var(--line)}
.vote{display:inline-block;min-width:4.5rem;text-align:center;border-radius:1rem;padding:0 .6rem;font-size:.875rem;font-weight:600}
.yes{color:var(--yes);background:var(--yesBack)}.no{color:var(--no);background:var(--noBack)}.wait{color:var(--wait);background:var(--waitBack)}
table{border-collapse:collapse;width:100%;font-size:.875rem}th,td{text-align:left;padding:.2rem .5rem .2rem 0;vertical-align:top}
`;

/** What the content security policy of the page must allow. */
export const styleSource = `'sha256-${createHash("sha256").update(style).digest("base64")}'`;

export function statusHtml(status: QnetdStatus): Html {
  const { server, clusters, clustersLeftOut, connections, clients, warnings, version } = status;
  const { isGood, text } = headline(status);
  const shown = clusters.slice(0, clustersShownMax);
  const more = clusters.length - shown.length + clustersLeftOut;
  const tls = server.tls === "off" ? "without TLS" : `TLS ${server.tls}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta http-equiv="refresh" content="${refreshSeconds}" />
        <title>Vote server: ${plural(clusters.length + clustersLeftOut, "cluster")}</title>
        ${raw(`<style>${style}</style>`)}
      </head>
      <body>
        <header>
          <h1>Vote server</h1>
          <p class="soft">
            ${server.address}:${server.port}, ${tls}, quorate ${version}, since
            ${status.startedAt.slice(0, 16).replace("T", " ")} UTC<br />
            ${plural(clusters.length + clustersLeftOut, "cluster")}, ${plural(clients, "node")},
            ${plural(connections, "connection")}
            ${status.upgrade === undefined ? "" : html`<br />Upgrade ${upgradeEventText(status.upgrade)}`}
          </p>
        </header>
        <main>
          <section class="${isGood ? "good" : "warn"}">
            <p>${isGood ? "Good" : "Attention"}: ${text}</p>
          </section>
          ${warnings.map((warning) => html`<section class="warn"><p>${warning}</p></section>`)}
          ${shown.length === 0 ? html`<section><p>No cluster is connected.</p></section>` : ""}
          ${shown.map((cluster) => clusterHtml(status, cluster))}
          ${status.absent.slice(0, clustersShownMax).map((cluster) => absentHtml(status, cluster))}
          ${more > 0 ? html`<section><p>${plural(more, "more cluster")} not shown here.</p></section>` : ""}
          ${status.certificates.length > 0 ? certificatesHtml(status.certificates) : ""}
        </main>
        <footer class="soft">Read again every ${refreshSeconds} seconds.</footer>
      </body>
    </html> `;
}

function absentHtml(status: QnetdStatus, cluster: AbsentCluster): Html {
  return html`<section>
    <h2><bdi>${nameText(cluster.name)}</bdi></h2>
    <p>${absentClusterText(status, cluster)}.</p>
    <ul>
      ${cluster.nodes.map((node) => absentNodeHtml(status, node))}
    </ul>
  </section> `;
}

function absentNodeHtml(status: QnetdStatus, node: AbsentNode): Html {
  return html`<li><span class="vote wait">absent</span> ${absentText(status, node)}</li> `;
}

function clusterHtml(status: QnetdStatus, cluster: ClusterSnapshot): Html {
  return html`<section>
    <h2><bdi>${nameText(cluster.name)}</bdi></h2>
    <p>${cluster.summary}</p>
    ${newsOf(cluster.concerns).map((news) => html`<p>Attention: ${news}</p>`)}
    <p class="soft">Algorithm ${cluster.algorithm}, tie-breaker ${tieBreakerText(cluster)}</p>
    <ul>
      ${cluster.nodes.map(nodeHtml)} ${cluster.absent.map((node) => absentNodeHtml(status, node))}
    </ul>
  </section> `;
}

function tieBreakerText({ tieBreaker, isKeepingActivePartition }: ClusterSnapshot): string {
  const rule =
    tieBreaker.mode === "nodeId" ? `node ${tieBreaker.nodeId}` : `${tieBreaker.mode} node id`;
  return isKeepingActivePartition ? `the active partition, then ${rule}` : rule;
}

const pills = {
  yes: ["yes", "has it"],
  no: ["no", "no vote"],
  waiting: ["wait", "waiting"],
} as const;

function nodeHtml(node: NodeSnapshot): Html {
  const [color, word] = pills[node.standing];
  const tls = node.isCertificateVerified
    ? "TLS, certificate verified"
    : node.isTlsActive
      ? "TLS"
      : "no TLS";
  const members = node.members.length > 0 ? `members ${node.members.join(", ")}` : "no members yet";
  return html`<li>
    <span class="vote ${color}">${word}</span> ${node.why} <br /><span class="soft"
      >heard ${(node.heardMsAgo / 1000).toFixed(1)} s ago, ${members}, ${tls},
      ${plainAddress(node.address)} port ${node.port}</span
    >
  </li> `;
}

function certificatesHtml(certificates: readonly CertificateState[]): Html {
  return html`<section>
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

function nameText(name: string): string {
  return name === "" ? "(no name)" : printable(name, "\u{fffd}");
}
