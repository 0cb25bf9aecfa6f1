import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./bits";

/** Act is a button that asks for a reason and then does something. A caller that may not do it reads what is missing. */
export function Act(props: {
  label: string;
  title?: string;
  /** What happens, for the dialog. */
  says?: ComponentChildren;
  tone?: "bad" | "main";
  missing?: string;
  initial?: string;
  run: (reason: string) => Promise<unknown>;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState(props.initial ?? "");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [opened, setOpened] = useState(false);
  const open = () => {
    setError(undefined);
    setReason(props.initial ?? "");
    setOpened(true);
  };
  useLayoutEffect(() => {
    if (opened) box.current?.showModal();
  }, [opened]);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await props.run(reason.trim());
      box.current?.close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button type="button" class={props.tone ?? ""} disabled={!!props.missing} title={props.missing || props.title} onClick={open}>
        {props.label}
      </button>
      {opened && (
        <dialog ref={box} aria-label={props.label} onClose={() => setOpened(false)}>
          <form onSubmit={(e) => void send(e)}>
            <h2>{props.label}</h2>
            {props.says && <div>{props.says}</div>}
            <Reason value={reason} onInput={setReason} />
            {error !== undefined && <Problem error={error} />}
            <div class="buttons">
              <button type="button" onClick={() => box.current?.close()}>
                Back
              </button>
              <button type="submit" class={props.tone ?? "main"} disabled={busy || !reason.trim()}>
                {busy ? "Sending…" : props.label}
              </button>
            </div>
          </form>
        </dialog>
      )}
    </>
  );
}

/** Reason asks why a change is made. The journal keeps it. */
export function Reason({ value, onInput }: { value: string; onInput: (text: string) => void }) {
  return (
    <label class="field">
      <span>Reason, for the journal</span>
      <input name="reason" value={value} maxLength={300} required autocomplete="off" onInput={(e) => onInput(e.currentTarget.value)} />
    </label>
  );
}

/** Missing says in words what the caller lacks, for buttons that are disabled. */
export function Missing({ text }: { text: string }) {
  return text ? <p class="dim small">{text}</p> : null;
}
