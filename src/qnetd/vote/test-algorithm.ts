// The test algorithm (qnetd.md §2.5): everybody always gets the vote. Two halves can be quorate with it; never for real use.
import type { Algorithm, Answer, Question } from "./algorithm.ts";

const why = "the test algorithm gives everybody the vote";

export class TestAlgorithm implements Algorithm {
  answer(question: Question): Answer {
    const isAsking = question.kind === "membership" || question.kind === "vote";
    return isAsking ? { vote: "ack", why } : { vote: "noChange" };
  }
  confirmed(): void {
    // Its votes are replies: nothing is confirmed.
  }
  leaving(): void {
    // Nobody's vote depends on another's.
  }
  retry(): void {
    // It never arms the timer.
  }
  released(): void {
    // It never waits for an outstanding vote.
  }
}
