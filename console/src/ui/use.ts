import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { refused } from "../api/session";

/** What a request has given so far. The data of an earlier answer stays while a later request runs or fails. */
export interface Loaded<T> {
  data?: T;
  error?: unknown;
  loading: boolean;
  again: () => void;
}

/** idle reports whether nothing is asked again for now: nobody sees the page, or the gateway refuses this caller. */
const idle = (): boolean => document.hidden || refused.value;

/** useLoad asks when the page appears, when an input changes, and every so many ms if every is above 0. */
export function useLoad<T>(load: () => Promise<T>, inputs: readonly unknown[], every = 0): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      try {
        const data = await loader.current();
        if (!gone) setState({ data, loading: false });
      } catch (error) {
        if (!gone) setState((s) => ({ ...s, error, loading: false }));
      }
      if (every > 0 && !gone) timer = setTimeout(() => (idle() ? wait() : void run()), every);
    };
    const wait = () => {
      timer = setTimeout(() => (idle() ? wait() : void run()), every);
    };
    void run();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [...inputs, turn, every]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { ...state, again };
}

/** useSettled returns a value once it has not changed for a while. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
