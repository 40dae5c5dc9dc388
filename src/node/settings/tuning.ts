// Every timeout of totem{} derived exactly as corosync derives it (totem.md §3.2, §6.1).
import type { Conf } from "../../conf.ts";
import { ConfError, integerAt, nonZeroAt, textAt } from "./conf-value.ts";
import type { TotemTuning } from "./settings.ts";

const timeoutMsMin = 30;
const holdMsMin = 14;
/** 1000 / HZ, as in corosync on Linux. */
const tickMs = 10;
const windowSum = 16384;

function atLeast(name: string, value: number, min: number): number {
  if (value < min) {
    throw new ConfError(
      `parse error in config: The ${name} parameter (${value} ms) may not be less than (${min} ms).`,
    );
  }
  return value;
}

/** `nodes`: members of link 0 in the node list. Throws ConfError with corosync's text. */
export function readTuning(conf: Conf, nodes: number): TotemTuning {
  const totem = (name: string, fallback: number): number =>
    nonZeroAt(conf, ["totem", name], fallback);
  const coefficient = integerAt(conf, ["totem", "token_coefficient"]) ?? 650;
  const tokenMs = totem("token", 3000) + Math.max(0, nodes - 2) * coefficient;
  atLeast("token timeout", tokenMs, timeoutMsMin);
  const retransmits = totem("token_retransmits_before_loss_const", 4);
  const computedRetransmitMs = Math.trunc(tokenMs / (retransmits + 0.2));
  const tokenRetransmitMs = totem("token_retransmit", computedRetransmitMs);
  const explicitRetransmit = (integerAt(conf, ["totem", "token_retransmit"]) ?? 0) !== 0;
  if (!explicitRetransmit && computedRetransmitMs < timeoutMsMin) {
    throw new ConfError(
      "parse error in config: Not appropriate token or token_retransmits_before_loss_const value set",
    );
  }
  atLeast("token retransmit timeout", tokenRetransmitMs, timeoutMsMin);
  const holdMs = totem("hold", Math.trunc(tokenRetransmitMs * 0.8 - tickMs));
  atLeast("token hold timeout", holdMs, holdMsMin);
  const joinMs = atLeast("join timeout", totem("join", 50), timeoutMsMin);
  const consensusMs = atLeast(
    "consensus timeout",
    totem("consensus", Math.trunc(1.2 * tokenMs)),
    timeoutMsMin,
  );
  if (consensusMs < joinMs) {
    throw new ConfError(
      `parse error in config: The consensus timeout parameter (${consensusMs} ms) may not be less than join timeout (${joinMs} ms).`,
    );
  }
  const mergeMs = atLeast("merge timeout", totem("merge", 200), timeoutMsMin);
  atLeast("downcheck timeout", totem("downcheck", 1000), timeoutMsMin);
  const networkDelayMs = totem("max_network_delay", 50);
  if (networkDelayMs < timeoutMsMin) {
    throw new ConfError(
      `parse error in config: The max_network_delay parameter (${networkDelayMs} ms) may not be less than (${timeoutMsMin} ms).`,
    );
  }
  const warning = integerAt(conf, ["totem", "token_warning"]) ?? 75;
  if (warning > 100) {
    throw new ConfError(
      `parse error in config: The token warning parameter (${warning}%) must be between 0 (disabled) and 100.`,
    );
  }
  const windowSize = totem("window_size", 50);
  const maxMessages = totem("max_messages", 17);
  if (windowSize + maxMessages >= windowSum) {
    throw new ConfError("totem.window_size and totem.max_messages together must stay below 16384");
  }
  return {
    tokenMs,
    tokenWarningPercent: warning,
    tokenRetransmitMs,
    holdMs,
    joinMs,
    sendJoinMs: integerAt(conf, ["totem", "send_join"]) ?? 0,
    consensusMs,
    mergeMs,
    failReceiveMax: totem("fail_recv_const", 2500),
    seqnoUnchangedMax: totem("seqno_unchanged_const", 30),
    windowSize,
    maxMessages,
    missCountMax: totem("miss_count_const", 5),
    cancelTokenHoldOnRetransmit:
      textAt(conf, ["totem", "cancel_token_hold_on_retransmit"]) === "yes",
    netMtu: totem("netmtu", 65536),
  };
}
