// How a file of users is changed: not without quorum, not for nothing, and not by an edit that refuses.
import { expect, test } from "bun:test";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { ApiError } from "../route.ts";
import { changeFile, changeUsers, EditRefusal, existingUser } from "./access-source.ts";

function source() {
  const files = new TestingFiles();
  return { files, isQuorate: () => files.isQuorate };
}

async function refusal(change: Promise<void>): Promise<ApiError> {
  const error = await change.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ApiError) return error;
  throw new Error("it was not refused");
}

test("without quorum the original's words, before and while the lock is taken", async () => {
  const { files, isQuorate } = source();
  files.isQuorate = false;
  const words = "create user failed: cfs-lock 'file-user_cfg' error: no quorum!";
  const error = await refusal(
    changeUsers({ files, isQuorate }, "create user failed", () => undefined),
  );
  expect(error).toMatchObject({ status: 500, message: words, code: "noQuorum" });
  let asked = 0;
  const late = { files, isQuorate: () => (asked += 1) === 1 };
  expect((await refusal(changeUsers(late, "create user failed", () => undefined))).message).toBe(
    words,
  );
});

test("a refused edit changes nothing and gives the lock back", async () => {
  const of = source();
  const error = await refusal(
    changeUsers(of, "update user failed", (config) => {
      config.users.clear();
      existingUser(config, "ann@pve");
    }),
  );
  expect(error).toMatchObject({
    status: 500,
    message: "update user failed: no such user ('ann@pve')",
  });
  expect(of.files.stat("user.cfg").ok).toBe(false);
  expect(of.files.stat("priv/lock/file-user_cfg").ok).toBe(false);
});

test("what changes nothing is not written", async () => {
  const { files, isQuorate } = source();
  await changeFile({ files, isQuorate }, "priv/token.cfg", "x", () => "root@pam!aa 1\n");
  const before = files.writes.length;
  await changeFile({ files, isQuorate }, "priv/token.cfg", "x", (text) => text);
  expect(files.writes.length).toBe(before);
  await expect(
    changeFile({ files, isQuorate }, "priv/token.cfg", "x", () => {
      throw new EditRefusal("why");
    }),
  ).rejects.toThrow("x: why");
});
