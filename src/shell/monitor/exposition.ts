// Metrics in the text format of Prometheus, version 0.0.4: families with their help, labels bounded in length, for names come from strangers. Pure.

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";
const labelCharactersMax = 128;

export type Labels = Readonly<Record<string, string | number>>;
export type Sample = readonly [Labels, number];

/** Samples of one meaning. */
export interface MetricFamily {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** `name`: without what all names begin with. */
export type Family = (
  name: string,
  type: MetricFamily["type"],
  help: string,
  samples: readonly Sample[],
) => MetricFamily;

/** `prefix`: what all names of a program begin with: "quorate_". */
export function familiesOf(prefix: string): Family {
  return (name, type, help, samples) => ({ name: `${prefix}${name}`, type, help, samples });
}

/** As Prometheus reads it; a family without samples is left out. */
export function expositionText(families: readonly MetricFamily[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(([labels, value]) => `${name}${labelsText(labels)} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
    })
    .join("");
}

/** A sample without labels. */
export function one(value: number): readonly Sample[] {
  return [[{}, value]];
}

/** The same without a sample where the value is not known. */
export function known(value: number | undefined): readonly Sample[] {
  return value === undefined || !Number.isFinite(value) ? [] : one(value);
}

/** What every program says of its process. */
export function processFamilies(
  family: Family,
  { residentBytes, cpuS }: { readonly residentBytes: number; readonly cpuS: number },
): MetricFamily[] {
  return [
    family("process_resident_memory_bytes", "gauge", "Memory of the process.", one(residentBytes)),
    family("process_cpu_seconds_total", "counter", "Processor time of the process.", one(cpuS)),
  ];
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
