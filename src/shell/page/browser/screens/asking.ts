// What several screens do alike: a plan that is shown before it is carried out, and the task that a screen has begun.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ChangeAnswer, changeAnswer } from "../../../answers/change.ts";
import { isGoodEnd } from "../../../answers/task-end.ts";
import { taskStatus } from "../../../answers/task.ts";
import type { Answer, Method } from "../api.ts";
import type { ScreenProps } from "../props.ts";
import { useStore } from "../store.ts";

type Given = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Changing {
  /** What it would do; undefined: nobody has asked, or the answer is awaited. */
  readonly planned: Answer<ChangeAnswer> | undefined;
  /** Why it could not be begun. */
  readonly refused: Answer<ChangeAnswer> | undefined;
  /** Of the task that was begun here; "": none. */
  readonly upid: string;
  readonly isBusy: boolean;
  readonly plan: (given?: Given) => Promise<void>;
  /** Follows it; `title`: of its panel. */
  readonly begin: (title: string, given?: Given) => Promise<void>;
  /** As if nobody had asked. */
  readonly forget: () => void;
}

/** A route that answers a plan with `dry-run`, else a task. */
export function useChanging(
  { parts, session }: ScreenProps,
  method: Method,
  path: string,
): Changing {
  const [planned, setPlanned] = useState<Answer<ChangeAnswer>>();
  const [refused, setRefused] = useState<Answer<ChangeAnswer>>();
  const [upid, setUpid] = useState("");
  const [isBusy, setBusy] = useState(false);
  // An answer that a later question has overtaken is none.
  const asked = useRef(0);
  const call = async (given: Given): Promise<Answer<ChangeAnswer>> => {
    setBusy(true);
    setRefused(undefined);
    const answer = await parts.api.call(method, { schema: changeAnswer, path, given });
    setBusy(false);
    return answer;
  };
  return {
    ...{ planned, refused, upid, isBusy },
    plan: async (given = {}) => {
      setPlanned(undefined);
      asked.current += 1;
      const own = asked.current;
      const answer = await call({ ...given, "dry-run": true });
      if (own === asked.current) setPlanned(answer);
    },
    begin: async (title, given = {}) => {
      if (isBusy) return;
      const answer = await call(given);
      if (!answer.ok || answer.data.upid === undefined) return setRefused(answer);
      setUpid(answer.data.upid);
      // Whoever tries again after it has failed is shown anew what would be done.
      setPlanned(undefined);
      parts.follow.begin(title, session.node, answer.data.upid, answer.data.steps);
      parts.live.refresh();
    },
    forget: () => {
      asked.current += 1;
      setPlanned(undefined);
      setRefused(undefined);
      setUpid("");
    },
  };
}

/**
 * How the task of this UPID stands; "": nobody has begun it. Its end is kept when its panel is closed, and asked for when the panel was hidden before or
 * another task is followed since.
 */
export function useTaskEnd(
  { parts, session, overview }: ScreenProps,
  upid: string,
): "" | "runs" | "good" | "bad" {
  const task = useStore(parts.follow.task);
  const [ended, setEnded] = useState<{ readonly upid: string; readonly isGood: boolean }>();
  const isFollowed = task?.upid === upid;
  const end = isFollowed ? task.end : "";
  const isKnown = ended?.upid === upid;
  useEffect(() => {
    if (upid !== "" && end !== "") setEnded({ upid, isGood: isGoodEnd(end) });
  }, [upid, end]);
  useEffect(() => {
    if (upid === "" || isFollowed || isKnown) return undefined;
    let isOver = false;
    const path = `/api2/json/nodes/${encodeURIComponent(session.node)}/tasks/${encodeURIComponent(upid)}/status`;
    void parts.api.get(taskStatus, path).then((answer) => {
      if (isOver || !answer.ok || answer.data.status !== "stopped") return;
      setEnded({ upid, isGood: isGoodEnd(answer.data.exitstatus ?? "OK") });
    });
    return () => void (isOver = true);
  }, [upid, isFollowed, isKnown, overview.at]);
  if (upid === "") return "";
  if (!isKnown) return "runs";
  return ended.isGood ? "good" : "bad";
}
