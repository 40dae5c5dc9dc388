// What a screen reads again and again while somebody looks at it.
import { useEffect, useState } from "preact/hooks";

/**
 * What `read` gave last; undefined: nothing yet. It is read anew `everyMs` after each answer, and when one of `keys` is another; a page that nobody sees asks
 * for nothing. `read` never rejects.
 */
export function useReading<T>(
  read: () => Promise<T>,
  everyMs: number,
  keys: readonly unknown[],
): T | undefined {
  const [found, setFound] = useState<T>();
  useEffect(() => {
    let isOver = false;
    let isDue = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      isDue = document.hidden;
      if (isDue) return;
      void read().then((value) => {
        if (isOver) return;
        setFound(() => value);
        timer = setTimeout(look, everyMs);
      });
    };
    const seen = (): void => {
      if (isDue && !document.hidden) look();
    };
    document.addEventListener("visibilitychange", seen);
    look();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, keys);
  return found;
}
