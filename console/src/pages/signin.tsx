import { useState } from "preact/hooks";
import { actor, token } from "../api/client";
import { session, signIn, signOut } from "../api/session";
import { Problem } from "../ui/bits";
import { link } from "../ui/router";

/** SignIn asks for a token. If a page is kept below, it says so. */
export function SignIn({ why, kept }: { why: string; kept?: boolean }) {
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(text, keep);
      if (location.hash.startsWith("#/signin")) location.hash = link("");
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const s = session.value;
  return (
    <section class="panel narrow" aria-label="Sign in">
      <header>
        <h2>Sign in</h2>
      </header>
      <form class="stack" onSubmit={(e) => void send(e)}>
        {why && <p role="alert">{why}</p>}
        {kept && <p>Below is what you have seen last. A change that you have begun is kept: sign in to go on with it.</p>}
        {s && (
          <p>
            You are {s.caller}
            {s.anonymous ? ", without credentials" : ""}.
          </p>
        )}
        <label class="field">
          <span>Token</span>
          <input type="password" name="token" autocomplete="off" required value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <label class="check">
          <input type="checkbox" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} />
          <span>Keep me signed in: a cookie that scripts cannot read. Without it, the token stays in the memory of this page.</span>
        </label>
        {error !== undefined && <Problem error={error} />}
        <div class="buttons">
          <button type="submit" class="main" disabled={busy || !text.trim()}>
            Sign in
          </button>
          {(token.value || (s && !s.anonymous)) && (
            <button type="button" onClick={() => void signOut().catch(setError)}>
              Sign out
            </button>
          )}
        </div>
      </form>
      {s?.anonymous && (
        <label class="field">
          <span>Your name, for the journal. It is not verified.</span>
          <input name="actor" maxLength={100} value={actor.value} onInput={(e) => (actor.value = e.currentTarget.value.trim())} />
        </label>
      )}
    </section>
  );
}

/** Who says as whom the console asks. */
export function Who() {
  const s = session.value;
  return (
    <a class="who" href={link("signin")} title={s ? s.may.map((r) => `${r.actions.join(", ")} on ${r.models.join(", ")}`).join("; ") : "sign in"}>
      {s && !(s.anonymous && actor.value) ? s.caller : actor.value || "sign in"}
    </a>
  );
}
