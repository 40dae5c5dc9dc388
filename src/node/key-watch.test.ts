import { expect, test } from "bun:test";
import { KeyWatch } from "./key-watch.ts";

const peers = new Map([["10.0.0.2", "n2"]]);

test("five packets over five seconds, none of them opens", () => {
  const watch = new KeyWatch(peers, 1000);
  for (let at = 0; at < 5; at += 1)
    expect(watch.failed("10.0.0.2", 1000 + at * 1000)).toBeUndefined();
  expect(watch.failed("10.0.0.2", 6000)).toContain("n2 (10.0.0.2)");
});

test("strangers, an authenticated packet, and time end the judgement", () => {
  const strange = new KeyWatch(peers, 0);
  for (let at = 0; at < 20; at += 1) expect(strange.failed("10.9.9.9", at * 1000)).toBeUndefined();
  const good = new KeyWatch(peers, 0);
  good.authenticated();
  for (let at = 0; at < 20; at += 1) expect(good.failed("10.0.0.2", at * 1000)).toBeUndefined();
  const late = new KeyWatch(peers, 0);
  for (let at = 0; at < 20; at += 1)
    expect(late.failed("10.0.0.2", 61_000 + at * 1000)).toBeUndefined();
});
