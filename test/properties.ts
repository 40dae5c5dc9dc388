// Before every test file (bunfig.toml): in CI, property tests draw from one seed, so that a change fails only by what it changed, and once
// more from a fresh one (fresh-properties.ts). Elsewhere each run draws anew; QUORATE_SEED=N draws as another run did.
import fc from "fast-check";

const ciSeed = 1;

const given = process.env["QUORATE_SEED"];
const seed = given === undefined ? ciSeed : Number(given);
if (!Number.isSafeInteger(seed)) throw new Error(`QUORATE_SEED is a whole number, not "${given}"`);
if (given !== undefined || process.env["QUORATE_CI"] === "1") fc.configureGlobal({ seed });
