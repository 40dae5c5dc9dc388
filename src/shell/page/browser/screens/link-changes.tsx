// Links that are put in, taken out or preferred, on all nodes at once: planned, shown, carried out and taken back by the node when they do not come up
// (pvecm.md §5.9 C).
import { useState } from "preact/hooks";
import type { Overview } from "../../../answers/ring.ts";
import { type Change, ChangeForm } from "../change-form.tsx";
import { Card, Field, Name } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { words } from "../words.ts";

const linksMax = 8;
const path = (link: number): string => `/api/v1/cluster/links/${link}`;

type Wanted =
  | { readonly kind: "none" }
  | { readonly kind: "add" }
  | { readonly kind: "priority" | "remove"; readonly link: number };

/** Numbers that the nodes have addresses of, ascending. */
export function linkNumbers(nodes: Overview["nodes"]): readonly number[] {
  const all = nodes.flatMap(({ addresses }) =>
    addresses.flatMap((address, link) => (address === null ? [] : [link])),
  );
  return [...new Set(all)].toSorted((a, b) => a - b);
}

export function LinkChanges(props: ScreenProps) {
  const [wanted, setWanted] = useState<Wanted>({ kind: "none" });
  const { session, overview } = props;
  if (session.user !== "root@pam" || !overview.quorum.quorate) return null;
  const close = (): void => setWanted({ kind: "none" });
  return (
    <Card title={words.linkChange.title} isWide>
      {wanted.kind === "none" && <Choices {...props} choose={setWanted} />}
      {wanted.kind === "add" && <AddLink {...props} onClose={close} />}
      {wanted.kind === "priority" && <Priority {...props} link={wanted.link} onClose={close} />}
      {wanted.kind === "remove" && <RemoveLink {...props} link={wanted.link} onClose={close} />}
    </Card>
  );
}

function Choices(props: ScreenProps & { readonly choose: (wanted: Wanted) => void }) {
  const { overview, choose } = props;
  const numbers = linkNumbers(overview.nodes);
  return (
    <>
      <p class="soft">{words.linkChange.text}</p>
      <div class="buttons">
        {numbers.length < linksMax && (
          <button type="button" onClick={() => choose({ kind: "add" })}>
            {words.addLink}
          </button>
        )}
        {numbers.map((link) => (
          <button key={link} type="button" onClick={() => choose({ kind: "priority", link })}>
            {words.linkChange.priority(link)}
          </button>
        ))}
        {numbers.length > 1 &&
          numbers.map((link) => (
            <button
              key={link}
              type="button"
              class="danger"
              onClick={() => choose({ kind: "remove", link })}
            >
              {words.linkChange.remove(link)}
            </button>
          ))}
      </div>
    </>
  );
}

type FormProps = ScreenProps & { readonly onClose: () => void };

function AddLink({ parts, session, overview, onClose }: FormProps) {
  const [typed, setTyped] = useState<ReadonlyMap<string, string>>(new Map());
  const [priority, setPriority] = useState("");
  const { nodes } = overview;
  const taken = linkNumbers(nodes);
  const link = Array.from({ length: linksMax }, (_, at) => at).find((at) => !taken.includes(at));
  const given = nodes.map(({ name }) => ({ name, address: typed.get(name) ?? "" }));
  const isWhole = given.every(({ address }) => address !== "") && /^\d{0,3}$/.test(priority);
  const change: Change | undefined =
    !isWhole || link === undefined
      ? undefined
      : {
          method: "POST",
          path: path(link),
          title: words.addLink,
          given: {
            addresses: given.map(({ name, address }) => `${name}=${address}`).join(","),
            ...(priority === "" ? {} : { priority: Number(priority) }),
          },
        };
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {(errors) => (
        <>
          <h3>{words.link(link ?? 0)}</h3>
          {nodes.map(({ nodeid, name }, at) => (
            <Field
              key={nodeid}
              label={words.linkChange.addressOf}
              of={name}
              hint={at === 0 ? words.linkChange.addressHint : ""}
              fault={at === 0 ? (errors["addresses"] ?? "") : ""}
            >
              {({ id, describedBy }) => (
                <input
                  {...{ id, "aria-describedby": describedBy, value: typed.get(name) ?? "" }}
                  {...{ autocomplete: "off", spellcheck: false, maxLength: 255 }}
                  onInput={({ currentTarget }) =>
                    setTyped(new Map([...typed, [name, currentTarget.value.trim()]]))
                  }
                />
              )}
            </Field>
          ))}
          <PriorityField value={priority} onValue={setPriority} fault={errors["priority"] ?? ""} />
        </>
      )}
    </ChangeForm>
  );
}

function PriorityField(props: {
  readonly value: string;
  readonly fault: string;
  readonly onValue: (value: string) => void;
}) {
  return (
    <Field
      label={words.linkChange.priorityField}
      hint={words.linkChange.priorityHint}
      fault={props.fault}
    >
      {({ id, describedBy }) => (
        <input
          {...{ id, "aria-describedby": describedBy, value: props.value, type: "number" }}
          {...{ min: 0, max: 255 }}
          onInput={({ currentTarget }) => props.onValue(currentTarget.value)}
        />
      )}
    </Field>
  );
}

function Priority(props: FormProps & { readonly link: number }) {
  const { parts, session, link, onClose } = props;
  const [priority, setPriority] = useState("");
  const title = words.linkChange.priority(link);
  const change: Change | undefined = /^\d{1,3}$/.test(priority)
    ? { method: "PUT", path: path(link), title, given: { priority: Number(priority) } }
    : undefined;
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {(errors) => (
        <>
          <h3>{words.link(link)}</h3>
          <PriorityField value={priority} onValue={setPriority} fault={errors["priority"] ?? ""} />
        </>
      )}
    </ChangeForm>
  );
}

function RemoveLink(props: FormProps & { readonly link: number }) {
  const { parts, session, overview, link, onClose } = props;
  const title = words.linkChange.remove(link);
  const change: Change = { method: "DELETE", path: path(link), title, given: {} };
  return (
    <ChangeForm {...{ parts, session, change, onClose }}>
      {() => (
        <>
          <h3>{title}</h3>
          <ul>
            {overview.nodes.map(({ nodeid, name, addresses }) => (
              <li key={nodeid}>
                <Name of={name} /> <Name of={addresses[link] ?? ""} />
              </li>
            ))}
          </ul>
        </>
      )}
    </ChangeForm>
  );
}
