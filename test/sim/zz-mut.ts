import { mutants } from "./mutations.ts";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
const home = "/work/wt/epoch";
const wanted = process.argv.slice(2);
for (const m of mutants) {
  if (!["F1","F2","F4"].includes(m.breaks) || (wanted.length && !wanted.some((w) => m.rule.includes(w)))) continue;
  const copy = mkdtempSync("/tmp/epoch-mutant-");
  cpSync(`${home}/src`, `${copy}/src`, { recursive: true });
  cpSync(`${home}/test/sim`, `${copy}/test/sim`, { recursive: true });
  const source = readFileSync(`${copy}/${m.file}`, "utf8");
  if (source.split(m.find).length !== 2) { console.log("NOT FOUND", m.rule); continue; }
  writeFileSync(`${copy}/${m.file}`, source.replace(m.find, () => m.replace));
  const ms = (m.seconds ?? 60) * 1000;
  writeFileSync(`${copy}/run.ts`, `import { runSeed } from "${copy}/test/sim/world.ts";
  for (let seed = ${m.from ?? 1}; seed < ${(m.from ?? 1)} + 40; seed += 1) { const r = await runSeed({ seed, durationMs: ${ms} }); if (!r.ok) { console.log(seed, r.invariant, r.failure.split("\\n")[0]); break; } }`);
  const child = Bun.spawn([process.execPath, `${copy}/run.ts`], { stdout: "pipe", stderr: "pipe" });
  console.log(m.breaks, m.rule, "→", (await new Response(child.stdout).text()).trim() || "SURVIVED", (await new Response(child.stderr).text()).slice(0, 300));
  rmSync(copy, { recursive: true });
}
