// Where a page is served.

export interface PageAddress {
  /** An address or a name. */
  readonly host: string;
  readonly port: number;
}

const portMax = 65_535;

/** Of "127.0.0.1:5480", "[::1]:5480", "name:5480", or a port on 127.0.0.1; undefined for any other word. */
export function pageAddress(word: string): PageAddress | undefined {
  const [, bracketed, plain, digits = ""] =
    /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(word) ?? [];
  const port = Number(digits);
  if (digits === "" || port > portMax) return undefined;
  return { host: bracketed ?? plain ?? "127.0.0.1", port };
}
