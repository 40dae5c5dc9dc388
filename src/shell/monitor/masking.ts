// Takes secrets out of texts that leave the machine in a report: values of keys that name one, private keys, tickets, tokens, passwords in addresses. Pure.
// It rather takes too much; names of files and times (totem's `token` is one) stay. Every pattern is bounded, for a log line may be long and hostile.

export const mask = "********";

const secretName =
  /^(?:.*(?:secret|passw(?:or)?d|passphrase|credentials?|apikey|privkey|ticket)|(?:.*[-_])?key)$/i;
/** Some of that name are times. */
const tokenName = /token$/i;

export function masked(text: string): string {
  return text
    .replace(
      /(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----)[\s\S]*?(-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
      `$1\n${mask}\n$2`,
    )
    .replace(/\b(PVE(?:VNC)?:[^\s:]{1,128}:[0-9A-F]{8}::)[A-Za-z0-9+/=]+/g, `$1${mask}`)
    .replace(
      /(![A-Za-z][\w.-]{1,64}[= ])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi,
      `$1${mask}`,
    )
    .replace(/(\b[a-z]{1,20}:\/\/[^\s/:@]{0,128}:)[^\s/@]{1,256}@/g, `$1${mask}@`)
    .split("\n")
    .map(maskedLine)
    .join("\n");
}

/** "key: value", as files have it, to the end of the line; elsewhere, as in JSON and in addresses, the word behind the name. */
function maskedLine(line: string): string {
  if (!/[:=]/.test(line)) return line;
  const [, head = "", name = "", value = ""] =
    /^(\s{0,64}([\w-]{1,64})\s{0,16}[:=]\s{0,16})(\S.*)$/.exec(line) ?? [];
  if (value !== "" && isSecret(name, value)) return `${head}${mask}`;
  return line.replace(
    /(?<![\w-])([\w-]+)(["']?\s?[:=]\s?["']?)([^\s"',;&]{1,4096})/g,
    (all, word: string, between: string, secret: string) =>
      isSecret(word, secret) ? `${word}${between}${mask}` : all,
  );
}

function isSecret(name: string, value: string): boolean {
  if (/^(?:[{[]|\*+)/.test(value)) return false;
  if (tokenName.test(name)) return !/^\d{1,9}[\s,}\])]*$/.test(value);
  return secretName.test(name);
}
