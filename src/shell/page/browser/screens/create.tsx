// Creating a cluster of this node: name and addresses, what would be done, and the doing.
import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import { type ChangeAnswer, changeAnswer } from "../../../answers/change.ts";
import { type Failure, failureText } from "../api.ts";
import { Plan } from "../change-form.tsx";
import { Card, Field, Notice } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { words } from "../words.ts";

export const clusterNamePattern = "[a-zA-Z0-9]([a-zA-Z0-9\\-]*[a-zA-Z0-9])?";
const nameCharactersMax = 15;
const linksMax = 8;

const interfacesSchema = v.array(
  v.object({
    iface: v.string(),
    address: v.optional(v.string()),
    address6: v.optional(v.string()),
  }),
);

export function Create({ parts, session, onBack }: ScreenProps & { readonly onBack: () => void }) {
  const [name, setName] = useState("");
  const [links, setLinks] = useState<readonly string[]>([""]);
  const [plan, setPlan] = useState<ChangeAnswer>();
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const given = {
    clustername: name,
    ...Object.fromEntries(links.flatMap((link, at) => (link === "" ? [] : [[`link${at}`, link]]))),
  };
  const call = async (isDry: boolean): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    setRefusal(undefined);
    const answer = await parts.api.post(changeAnswer, "/api/v1/cluster", {
      ...given,
      ...(isDry ? { "dry-run": true } : {}),
    });
    setBusy(false);
    if (!answer.ok) return setRefusal(answer);
    if (isDry) return setPlan(answer.data);
    const { upid } = answer.data;
    const { steps } = answer.data;
    if (upid !== undefined) parts.follow.begin(words.createTitle, session.node, upid, steps);
    parts.live.refresh();
  };
  return (
    <Card title={words.createTitle} isWide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void call(plan === undefined);
        }}
      >
        <NameField
          {...{ name, fault: refusal?.errors["clustername"] ?? "" }}
          onName={(typed) => {
            setName(typed);
            setPlan(undefined);
          }}
        />
        <LinkFields
          {...{ parts, session, links, errors: refusal?.errors ?? {} }}
          onLinks={(typed) => {
            setLinks(typed);
            setPlan(undefined);
          }}
        />
        {refusal !== undefined && (
          <Notice mood="bad" isAlert>
            {failureText(refusal)}
          </Notice>
        )}
        {plan !== undefined && <Plan plan={plan} />}
        <div class="buttons">
          <button class="main" type="submit" aria-disabled={isBusy}>
            {isBusy ? words.busy : plan === undefined ? words.check : words.createNow(name)}
          </button>
          <button type="button" onClick={onBack}>
            {words.back}
          </button>
        </div>
      </form>
    </Card>
  );
}

function NameField(props: {
  readonly name: string;
  readonly fault: string;
  readonly onName: (name: string) => void;
}) {
  return (
    <Field label={words.clusterName} hint={words.clusterNameHint} fault={props.fault}>
      {({ id, describedBy }) => (
        <input
          {...{ id, "aria-describedby": describedBy, value: props.name }}
          autocomplete="off"
          spellcheck={false}
          maxLength={nameCharactersMax}
          pattern={clusterNamePattern}
          required
          onInput={({ currentTarget }) => props.onName(currentTarget.value)}
        />
      )}
    </Field>
  );
}

function LinkFields(
  props: Pick<ScreenProps, "parts" | "session"> & {
    readonly links: readonly string[];
    readonly errors: Readonly<Record<string, string>>;
    readonly onLinks: (links: readonly string[]) => void;
  },
) {
  const { parts, session, links, errors, onLinks } = props;
  const [addresses, setAddresses] = useState<readonly { text: string; of: string }[]>([]);
  useEffect(() => {
    const path = `/api2/json/nodes/${encodeURIComponent(session.node)}/network`;
    void parts.api.get(interfacesSchema, path).then((answer) => {
      if (answer.ok) setAddresses(answer.data.flatMap(addressesOf));
    });
  }, [parts.api, session.node]);
  const changed = (at: number, text: string) =>
    onLinks(links.map((link, each) => (each === at ? text : link)));
  return (
    <>
      <datalist id="own-addresses">
        {addresses.map(({ text, of }) => (
          <option key={text} value={text}>
            {of}
          </option>
        ))}
      </datalist>
      {links.map((link, at) => (
        <Field
          key={at}
          label={words.linkAddress(at)}
          hint={at === 0 ? words.linkHintFirst : words.linkHint}
          fault={errors[`link${at}`] ?? ""}
        >
          {({ id, describedBy }) => (
            <input
              {...{ id, "aria-describedby": describedBy, value: link, list: "own-addresses" }}
              autocomplete="off"
              spellcheck={false}
              maxLength={255}
              onInput={({ currentTarget }) => changed(at, currentTarget.value.trim())}
            />
          )}
        </Field>
      ))}
      <div class="buttons">
        {links.length < linksMax && (
          <button type="button" onClick={() => onLinks([...links, ""])}>
            {words.addLink}
          </button>
        )}
        {links.length > 1 && (
          <button type="button" onClick={() => onLinks(links.slice(0, -1))}>
            {words.removeLink(links.length - 1)}
          </button>
        )}
      </div>
    </>
  );
}

function addressesOf({ iface, address, address6 }: v.InferOutput<typeof interfacesSchema>[number]) {
  const all = [address, address6].filter((each) => each !== undefined);
  const isOwn = (each: string) => !/^127\.|^::1$|^fe80:/i.test(each);
  return all.filter(isOwn).map((text) => ({ text, of: iface }));
}
