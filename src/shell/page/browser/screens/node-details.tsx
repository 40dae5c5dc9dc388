// Every node at length, as it tells of itself: what it is, where, since when, and what it lacks; its votes and addresses can be changed (pvecm.md §5.9 B).
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Overview, overviewAnswer } from "../../../answers/ring.ts";
import { type Answer, type Api, failureText } from "../api.ts";
import { askEach } from "../ask-each.ts";
import { useReading } from "../chart/reading.ts";
import { type Change, ChangeForm } from "../change-form.tsx";
import { Busy, Card, Field, Heading, Name, Notice, State } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { duration, nameInText, timeText } from "../shown.ts";
import { words } from "../words.ts";
import { LinkCell, NodeState, Since } from "./nodes.tsx";

type Node = Overview["nodes"][number];
type Views = ReadonlyMap<number, Answer<Overview>>;

const everyMs = 15_000;

export function NodesScreen(props: ScreenProps) {
  const { overview, parts } = props;
  const others = useOthers(parts.api, overview.nodes);
  return (
    <>
      <Heading text={words.screens.nodes} />
      {overview.nodes.map((node) => (
        <NodeCard
          key={node.nodeid}
          {...{ ...props, node }}
          view={node.isLocal ? { ok: true, data: overview } : others?.get(node.nodeid)}
        />
      ))}
    </>
  );
}

/** What the other members tell of themselves. */
function useOthers(api: Api, nodes: readonly Node[]): Views | undefined {
  const asked = nodes.filter(({ isLocal, isMember }) => !isLocal && isMember);
  const read = (): Promise<Views> =>
    askEach(asked, (name) =>
      api.get(overviewAnswer, `/api/v1/nodes/${encodeURIComponent(name)}/overview`),
    );
  return useReading(read, everyMs, [api, JSON.stringify(asked.map(({ name }) => name))]);
}

export interface NodeCardProps extends ScreenProps {
  readonly node: Node;
  /** What it says; undefined: it has not answered yet, or is not asked. */
  readonly view: Answer<Overview> | undefined;
}

export function NodeCard(props: NodeCardProps) {
  const { node, overview, view } = props;
  const title = (
    <>
      <Name of={node.name} /> {node.isLocal && <span class="soft">({words.here})</span>}
    </>
  );
  return (
    <Card title={title} isWide>
      <p>
        <NodeState node={node} />
      </p>
      <Since node={node} links={overview.links} />
      <dl class="facts">
        <Fact term={words.id}>{node.nodeid}</Fact>
        <Fact term={words.votes}>
          <Votes node={node} overview={overview} />
        </Fact>
        {node.addresses.map((address, link) =>
          address === null ? null : (
            <Fact key={link} term={words.link(link)}>
              <Name of={address} />{" "}
              {!node.isLocal && (
                <LinkCell
                  link={overview.links.find(
                    (each) => each.nodeid === node.nodeid && each.link === link,
                  )}
                />
              )}
            </Fact>
          ),
        )}
        <Fact term={words.configuration}>
          {node.configVersion === null
            ? words.unknown
            : words.configurationVersion(node.configVersion)}
        </Fact>
        {view?.ok === true && <Own of={view.data} />}
      </dl>
      <Asked node={node} view={view} />
      <Lacks {...props} />
      <Changes {...props} />
    </Card>
  );
}

function Fact({ term, children }: { readonly term: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Votes of corosync.conf; beside them what counts now, where that is another number. */
function Votes({ node, overview }: { readonly node: Node; readonly overview: Overview }) {
  const voter = overview.quorum.voters.find(({ nodeid }) => nodeid === node.nodeid);
  const isOther = voter !== undefined && voter.state === "member" && voter.votes !== node.votes;
  return (
    <>
      {node.votes}
      {isOther && <span class="soft"> {words.votesNow(voter.votes)}</span>}
    </>
  );
}

/** What only the node itself can tell. */
function Own({ of }: { readonly of: Overview }) {
  return (
    <>
      <Fact term={words.version}>
        <Name of={of.version} />
      </Fact>
      <Fact term={words.uptime}>
        {words.runsSince(
          duration(of.at - of.startedAt * 1000),
          timeText(of.startedAt * 1000, of.at, true),
        )}
      </Fact>
      <Fact term={words.certificates}>
        {of.certificates.length === 0 && words.noCertificates}
        {of.certificates.map(({ file, daysLeft }) => (
          <div key={file}>
            <Name of={file} />{" "}
            <State mood={daysLeft > 14 ? "good" : daysLeft > 0 ? "warn" : "bad"}>
              {words.certificateEnd(
                Math.floor(daysLeft),
                timeText(of.at + daysLeft * 86_400_000, of.at, true).slice(0, 10),
              )}
            </State>
          </div>
        ))}
      </Fact>
    </>
  );
}

function Asked({ node, view }: Pick<NodeCardProps, "node" | "view">) {
  if (!node.isMember && !node.isLocal) return <p class="soft">{words.notAsked}</p>;
  if (view === undefined) return <Busy />;
  return view.ok ? null : <p class="fault">{failureText(view)}</p>;
}

/** What is wrong with it, as it says itself and as this node sees it. */
export function lacksOf({ node, overview, view }: NodeCardProps): readonly string[] {
  const said = view?.ok === true ? view.data : undefined;
  const tree =
    said === undefined || said.tree.isWritable || said.quorum.mode === "standalone"
      ? []
      : [words.lacksTree(said.tree.reason)];
  const isBehind =
    node.configVersion !== null && node.configVersion !== overview.cluster.configVersion;
  const faults = overview.links
    .filter(({ nodeid }) => nodeid === node.nodeid)
    .flatMap((link) => link.faults);
  return [
    ...new Set([
      ...(node.fault === "" ? [] : [node.fault]),
      ...(isBehind
        ? [words.lacksVersion(node.configVersion ?? 0, overview.cluster.configVersion)]
        : []),
      ...tree,
      ...(said?.warnings ?? []),
      ...(node.isLocal ? [] : faults),
    ]),
  ];
}

function Lacks(props: NodeCardProps) {
  const { node, view } = props;
  const lacks = lacksOf(props);
  if (lacks.length > 0) {
    return (
      <>
        <h3>{words.lacks}</h3>
        <ul class="warnings">
          {lacks.map((text) => (
            <li key={text}>
              <Notice mood="warn">{text}</Notice>
            </li>
          ))}
        </ul>
      </>
    );
  }
  return node.isMember && view?.ok === true ? (
    <p>
      <State mood="good">{words.lacksNothing}</State>
    </p>
  ) : null;
}

type Wanted = "votes" | "addresses" | "name";

function Changes(props: NodeCardProps) {
  const [wanted, setWanted] = useState<Wanted>();
  const { session, overview, node } = props;
  if (session.user !== "root@pam" || !overview.quorum.quorate || node.name === "") return null;
  const close = (): void => setWanted(undefined);
  switch (wanted) {
    case undefined:
      return (
        <div class="buttons">
          {(["votes", "addresses", "name"] as const).map((each) => (
            <button key={each} type="button" onClick={() => setWanted(each)}>
              {words.change[each]}
              <span class="hidden"> {words.of(nameInText(node.name))}</span>
            </button>
          ))}
        </div>
      );
    case "votes":
      return <ChangeVotes {...props} onClose={close} />;
    case "addresses":
      return <ChangeAddresses {...props} onClose={close} />;
    case "name":
      return <ChangeName {...props} onClose={close} />;
  }
  return wanted satisfies never;
}

type ChangeProps = NodeCardProps & { readonly onClose: () => void };

function changeOf({ name }: Node, what: Wanted, given: Change["given"]): Change {
  const path = `/api/v1/cluster/nodes/${encodeURIComponent(name)}/${what}`;
  return {
    method: "PUT",
    path,
    given,
    title: `${words.change[what]} ${words.of(nameInText(name))}`,
  };
}

function ChangeVotes({ parts, session, node, onClose }: ChangeProps) {
  const [votes, setVotes] = useState(String(node.votes));
  const isAnother = /^\d{1,3}$/.test(votes) && Number(votes) !== node.votes;
  const given = { votes: Number(votes) };
  const change = isAnother ? changeOf(node, "votes", given) : undefined;
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {(errors) => (
        <Field label={words.votesOf} hint={words.votesOfHint} fault={errors["votes"] ?? ""}>
          {({ id, describedBy }) => (
            <input
              {...{ id, "aria-describedby": describedBy, value: votes, type: "number" }}
              {...{ min: 0, max: 255, required: true }}
              onInput={({ currentTarget }) => setVotes(currentTarget.value)}
            />
          )}
        </Field>
      )}
    </ChangeForm>
  );
}

function ChangeAddresses({ parts, session, node, onClose }: ChangeProps) {
  const [typed, setTyped] = useState<ReadonlyMap<number, string>>(new Map());
  const given = Object.fromEntries(
    [...typed].flatMap(([link, address]) =>
      address === "" || address === node.addresses[link] ? [] : [[`link${link}`, address]],
    ),
  );
  const isAnother = Object.keys(given).length > 0;
  const change = isAnother ? changeOf(node, "addresses", given) : undefined;
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {(errors) =>
        node.addresses.map((address, link) =>
          address === null ? null : (
            <Field
              key={link}
              label={words.addressOf(link)}
              hint={words.addressOfHint(address)}
              fault={errors[`link${link}`] ?? ""}
            >
              {({ id, describedBy }) => (
                <input
                  {...{ id, "aria-describedby": describedBy, value: typed.get(link) ?? address }}
                  {...{ autocomplete: "off", spellcheck: false, maxLength: 255 }}
                  onInput={({ currentTarget }) =>
                    setTyped(new Map([...typed, [link, currentTarget.value.trim()]]))
                  }
                />
              )}
            </Field>
          ),
        )
      }
    </ChangeForm>
  );
}

function ChangeName({ parts, session, node, onClose }: ChangeProps) {
  const [name, setName] = useState(node.name);
  const isAnother = name !== "" && name !== node.name;
  const change = isAnother ? changeOf(node, "name", { name }) : undefined;
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {(errors) => (
        <Field label={words.nameOf} hint={words.nameOfHint} fault={errors["name"] ?? ""}>
          {({ id, describedBy }) => (
            <input
              {...{ id, "aria-describedby": describedBy, value: name }}
              {...{ autocomplete: "off", spellcheck: false, maxLength: 63, required: true }}
              onInput={({ currentTarget }) => setName(currentTarget.value.trim())}
            />
          )}
        </Field>
      )}
    </ChangeForm>
  );
}
