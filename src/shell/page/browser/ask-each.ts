// The same question to several nodes, a few at a time, so that a large cluster is not asked all at once.

const askedMax = 4;

/** By nodeid. `ask` never rejects. */
export async function askEach<T>(
  nodes: readonly { readonly nodeid: number; readonly name: string }[],
  ask: (name: string) => Promise<T>,
): Promise<ReadonlyMap<number, T>> {
  const found = new Map<number, T>();
  const waiting = [...nodes];
  const lane = async (): Promise<void> => {
    for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
      found.set(node.nodeid, await ask(node.name));
    }
  };
  await Promise.all(Array.from({ length: askedMax }, lane));
  return found;
}
