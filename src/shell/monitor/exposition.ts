// Metrics in the text format of Prometheus, version 0.0.4: families with their help, labels bounded in length, for names come from strangers. Pure.

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";
const labelCharactersMax = 128;

export type Labels = Readonly<Record<string, string | number>>;
export type Sample = readonly [Labels, number];

/** One family with its help, or nothing when it has no samples. `name`: without what all names begin with. */
export type Family = (
  name: string,
  type: "gauge" | "counter",
  help: string,
  samples: readonly Sample[],
) => string;

/** `prefix`: what all names of a program begin with: "quorate_". */
export function familiesOf(prefix: string): Family {
  return (name, type, help, samples) => {
    if (samples.length === 0) return "";
    const full = `${prefix}${name}`;
    const lines = samples.map(([labels, value]) => `${full}${labelsText(labels)} ${value}\n`);
    return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
  };
}

/** A sample without labels. */
export function one(value: number): readonly Sample[] {
  return [[{}, value]];
}

/** The same without a sample where the value is not known. */
export function known(value: number | undefined): readonly Sample[] {
  return value === undefined || !Number.isFinite(value) ? [] : one(value);
}

function labelsText(labels: Labels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${labelText(value)}"`);
  return texts.length === 0 ? "" : `{${texts.join(",")}}`;
}

/** The value of a label as it stands between quotes. */
export function labelText(value: string | number): string {
  return String(value)
    .slice(0, labelCharactersMax)
    .toWellFormed()
    .replace(/\\/g, "\\\\")
    .replace(/"/g, '\\"')
    .replace(/\n/g, "\\n")
    .replace(/\p{Cc}/gu, "\u{fffd}");
}
