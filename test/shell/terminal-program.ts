// Asks two questions on its terminal, as a join does, and says what it was told: for terminal.test.ts.
import { answerOnTerminal } from "../../src/shell/command/cluster/terminal.ts";

const otherwise = "give it otherwise";
const first = await answerOnTerminal("Really (yes/no)? ", { isHidden: false, otherwise });
console.log(`heard ${first}`);
const second = await answerOnTerminal("Secret: ", { isHidden: true, otherwise });
console.log(`told ${second.length} letters, ${second === "gehéim" ? "the right" : "wrong"} ones`);
