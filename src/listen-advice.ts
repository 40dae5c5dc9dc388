// What an operator can do about an address that cannot be listened on.

/** `message`: of the runtime's error. A clause with its own comma, or "". */
export function listenAdvice(message: string): string {
  if (message.includes("EADDRINUSE")) {
    return ", by another program: `ss -lntp` as root shows which; stop it, or choose another port";
  }
  if (message.includes("EADDRNOTAVAIL") || message.startsWith("Failed to listen at")) {
    return ", which is no address of this machine (`ip address` shows them)";
  }
  return message.includes("EACCES") ? ": ports below 1024 are for root only" : "";
}
