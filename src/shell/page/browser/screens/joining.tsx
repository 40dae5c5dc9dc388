// How another machine comes in: one-time tokens, and join information for who knows the password (pvecm.md §5.4, §5.9 D).
import { useEffect, useState } from "preact/hooks";
import { encode } from "uqr";
import * as v from "valibot";
import { joinTokens, madeJoinToken } from "../../../answers/join.ts";
import { type Answer, type Failure, failureText } from "../api.ts";
import { Busy, Card, CopyText, Heading, Name, Notice, State, TableFrame } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { timeText } from "../shown.ts";
import { useStore } from "../store.ts";
import { words } from "../words.ts";

type Tokens = v.InferOutput<typeof joinTokens>;
type Made = v.InferOutput<typeof madeJoinToken>;

const informationSchema = v.object({
  preferred_node: v.string(),
  nodelist: v.array(v.record(v.string(), v.string())),
  totem: v.record(v.string(), v.unknown()),
});
type Information = v.InferOutput<typeof informationSchema>;

export function JoiningScreen(props: ScreenProps) {
  const isRoot = props.session.user === "root@pam";
  return (
    <>
      <Heading text={words.screens.joining} />
      <p>{words.joiningText}</p>
      {isRoot ? <TokensCard {...props} /> : <Notice mood="warn">{words.noRightChange}</Notice>}
      <InformationCard {...props} />
    </>
  );
}

const lifetimes = [600, 3600, 28_800, 86_400] as const;

function TokensCard({ parts }: ScreenProps) {
  const { api } = parts;
  const now = useStore(parts.clock);
  const [tokens, setTokens] = useState<Answer<Tokens>>();
  const [made, setMade] = useState<Made>();
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const [lifetime, setLifetime] = useState(3600);
  const path = "/api/v1/join-tokens";
  const read = async (): Promise<void> => setTokens(await api.get(joinTokens, path));
  useEffect(() => void read(), []);
  const make = async (): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    setRefusal(undefined);
    const answer = await api.post(madeJoinToken, path, { lifetime });
    setBusy(false);
    if (answer.ok) setMade(answer.data);
    else setRefusal(answer);
    await read();
  };
  const revoke = async (id: string): Promise<void> => {
    const answer = await api.call("DELETE", { schema: v.null(), path: `${path}/${id}` });
    if (!answer.ok) setRefusal(answer);
    if (made?.id === id) setMade(undefined);
    await read();
  };
  return (
    <Card title={words.tokens} isWide>
      <p>{words.tokensText}</p>
      <div class="buttons">
        <label>
          {words.lifetime}{" "}
          <select
            value={lifetime}
            onChange={({ currentTarget }) => setLifetime(Number(currentTarget.value))}
          >
            {lifetimes.map((seconds) => (
              <option key={seconds} value={seconds}>
                {words.lifetimes(seconds)}
              </option>
            ))}
          </select>
        </label>
        <button class="main" type="button" aria-disabled={isBusy} onClick={() => void make()}>
          {isBusy ? words.busy : words.newToken}
        </button>
      </div>
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(refusal)}
        </Notice>
      )}
      {made !== undefined && <NewToken made={made} now={now} />}
      {tokens === undefined ? <Busy /> : <TokenTable {...{ tokens, now, revoke }} />}
    </Card>
  );
}

function NewToken({ made, now }: { readonly made: Made; readonly now: number }) {
  return (
    <Notice mood="calm">
      <p>{words.tokenSecret(timeText(made.expiresAt * 1000, now, true))}</p>
      <CopyText text={made.text} label={words.tokenLabel} />
      <p>{words.tokenOrType}</p>
      <CopyText text={`quorate join ${made.text}`} label={words.tokenCommand} />
      <Qr text={made.text} label={words.tokenQr} />
    </Notice>
  );
}

/** Always dark on light: readers want it so. */
export function Qr({ text, label }: { readonly text: string; readonly label: string }) {
  const { data, size } = encode(text, { border: 4 });
  const path = data
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

export function TokenTable(props: {
  readonly tokens: Answer<Tokens>;
  readonly now: number;
  readonly revoke: (id: string) => Promise<void>;
}) {
  const { tokens, now, revoke } = props;
  if (!tokens.ok) return <Notice mood="bad">{failureText(tokens)}</Notice>;
  if (tokens.data.length === 0) return <p class="soft">{words.noTokens}</p>;
  return (
    <TableFrame label={words.tokens}>
      <table class="foldable">
        <thead>
          <tr>
            <th scope="col">{words.id}</th>
            <th scope="col">{words.state}</th>
            <th scope="col">{words.createdBy}</th>
            <th scope="col">{words.goodUntil}</th>
            <th scope="col">{words.revoke}</th>
          </tr>
        </thead>
        <tbody>
          {tokens.data.map(({ id, by, expiresAt, node, usedAt }) => (
            <tr key={id}>
              <th scope="row">
                <code>{id}</code>
              </th>
              <td data-label={words.state}>
                {usedAt === undefined ? (
                  <State mood="good">{words.tokenOpen}</State>
                ) : (
                  <State mood="calm">{words.tokenUsed}</State>
                )}
                {node !== undefined && (
                  <div>
                    <Name of={node} />
                  </div>
                )}
              </td>
              <td data-label={words.createdBy}>
                <Name of={by} />
              </td>
              <td data-label={words.goodUntil}>{timeText(expiresAt * 1000, now, true)}</td>
              <td data-label="">
                <button type="button" class="danger" onClick={() => void revoke(id)}>
                  {words.revoke} <span class="hidden">{id}</span>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function InformationCard({ parts }: ScreenProps) {
  const [read, setRead] = useState<Answer<Information>>();
  useEffect(() => {
    void parts.api.get(informationSchema, "/api2/json/cluster/config/join").then(setRead);
  }, [parts.api]);
  return (
    <Card title={words.information} isWide>
      <p>{words.informationText}</p>
      {read === undefined && <Busy />}
      {read?.ok === false && <Notice mood="bad">{failureText(read)}</Notice>}
      {read?.ok === true && (
        <>
          <dl class="facts">
            <dt>{words.address}</dt>
            <dd>
              <Name of={ownOf(read.data)["pve_addr"] ?? ""} />
            </dd>
            <dt>{words.fingerprint}</dt>
            <dd>
              <code>{ownOf(read.data)["pve_fp"]}</code>
            </dd>
          </dl>
          <CopyText text={informationText(read.data)} label={words.information} />
        </>
      )}
    </Card>
  );
}

function ownOf({ nodelist, preferred_node: own }: Information): Readonly<Record<string, string>> {
  return nodelist.find(({ name }) => name === own) ?? {};
}

/** What Proxmox's page makes of it, and every page like it reads (pvecm.md §3.1). */
export function informationText(information: Information): string {
  const own = ownOf(information);
  const links = Object.entries(own).flatMap(([key, address]) => {
    const link = /^ring([0-7])_addr$/.exec(key)?.[1];
    return link === undefined ? [] : [[link, address] as const];
  });
  const text = JSON.stringify({
    ...{ ipAddress: own["pve_addr"] ?? "", fingerprint: own["pve_fp"] ?? "" },
    peerLinks: Object.fromEntries(links),
    ring_addr: links.map(([, address]) => address),
    totem: information.totem,
  });
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCodePoint(byte)).join(""));
}
