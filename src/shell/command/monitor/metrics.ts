// `quorate metrics`: the numbers of a running node.
import { expositionText } from "../../monitor/exposition.ts";
import { metricSamples } from "../../answers/monitor.ts";
import { exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi } from "../cluster/local-api.ts";

export interface MetricsOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export async function metricsCommand({ root, json, write }: MetricsOptions): Promise<number> {
  const api = new LocalApi(nodePaths(root).socket);
  const families = await api.call(metricSamples, "GET", "/metrics/samples");
  if (json) write(`${JSON.stringify(families, undefined, 2)}\n`);
  else {
    const text = families.map(({ samples, ...family }) => ({
      ...family,
      samples: samples.map(({ labels, value }) => [labels, value] as const),
    }));
    write(expositionText(text));
  }
  return exitOk;
}
