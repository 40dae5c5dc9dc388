// How the vote server's page looks: the colours and shapes of the nodes' page (browser/style), in one sheet within the document, for there is
// nothing else to load. States have a mark and a word beside their colour.
import { createHash } from "node:crypto";

export const style = `
:root{color-scheme:light dark;--ink:light-dark(#1b1f24,#e6edf3);--soft:light-dark(#555f6a,#9da7b1);
--paper:light-dark(#fff,#0d1117);--card:light-dark(#f6f8fa,#151b23);--line:light-dark(#d1d9e0,#3d444d);
--good:light-dark(#0f5c26,#7ee787);--goodBack:light-dark(#dafbe1,#12321d);
--warn:light-dark(#6b4300,#f2cc60);--warnBack:light-dark(#fff1c2,#3b2e0a);
--bad:light-dark(#9f1420,#ff9d94);--badBack:light-dark(#ffe2e0,#42151a);
--calm:light-dark(#3f4a56,#b1bac4);--calmBack:light-dark(#e6eaef,#2a313c)}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1.25rem;padding:.5rem 1rem;background:var(--card);
border-bottom:1px solid var(--line)}
h1{font-size:1.05rem;margin:0}h2{font-size:1.05rem;margin:0 0 .5rem}p{margin:.25rem 0}
code{font:.875rem/1.45 ui-monospace,monospace;user-select:all;display:block;padding:.5rem;border:1px solid var(--line);border-radius:6px;background:var(--paper)}
.soft{color:var(--soft);font-size:.875rem}
main{display:grid;gap:1rem;max-width:70rem;margin:0 auto;padding:1rem}
main>*{min-width:0}
.notice{display:flex;gap:.6rem;padding:.6rem .9rem;border-radius:8px;color:var(--warn);background:var(--warnBack)}
.notice.head{font-size:1.1rem;font-weight:600}.notice p{margin:0}
.good{color:var(--good);background:var(--goodBack)}.warn{color:var(--warn);background:var(--warnBack)}
.bad{color:var(--bad);background:var(--badBack)}.calm{color:var(--calm);background:var(--calmBack)}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem}
.title{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem .75rem}.title h2{margin:0}
.state{display:inline-flex;gap:.4rem;border-radius:1rem;padding:.05rem .7rem;font-size:.875rem;font-weight:600;white-space:nowrap}
ul{list-style:none;margin:.5rem 0 0;padding:0}li{padding:.5rem 0;border-top:1px solid var(--line)}
.node{display:grid;grid-template-columns:8.5rem 1fr;gap:.25rem 1rem}
time{color:var(--soft);font-size:.875rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.line{display:grid;grid-template-columns:10.5rem 1fr;gap:0 1rem;padding:.3rem 0}
table{border-collapse:collapse;width:100%;font-size:.875rem}th,td{text-align:left;padding:.2rem .5rem .2rem 0;vertical-align:top}
/* What an answer that did not come would have replaced. */
.stale header,.stale main>:not(.head){opacity:.55;filter:grayscale(1)}
footer{max-width:70rem;margin:0 auto;padding:0 1rem 1rem}
@media(max-width:36rem){.node,.line{grid-template-columns:1fr}}
`;

/** What the content security policy of the page must allow. */
export const styleSource = `'sha256-${createHash("sha256").update(style).digest("base64")}'`;
