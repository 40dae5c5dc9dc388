import { expect, test } from "bun:test";
import { certificateHasName } from "./certificate-name.ts";

const named = (commonName: string | undefined, ...alternativeNames: string[]) => ({
  commonName,
  alternativeNames,
});

test.each([
  [named("lab"), "lab", true],
  [named("lab"), "LAB", true],
  [named("lab"), "lab2", false],
  [named(undefined), "lab", false],
  [named(""), "", false],
  [named("lab", "other"), "lab", false],
  [named("x", "other", "lab"), "lab", true],
  [named("*"), "lab", false],
  [named("*.example.org"), "lab.example.org", true],
  [named("la*.example.org"), "lab.example.org", true],
  [named("*.example.org"), "a.b.example.org", false],
  [named("*.org"), "lab.org", false],
  [named("*b.example.org"), "lab.example.org", false],
  [named("xn--*.example.org"), "xn--lab.example.org", false],
])("%p for %s: %p", (names, cluster, isRight) => {
  expect(certificateHasName(names, cluster)).toBe(isRight);
});
