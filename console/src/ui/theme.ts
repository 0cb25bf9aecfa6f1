import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const key = "sluice.theme";

function stored(): Theme {
  try {
    const text = localStorage.getItem(key);
    return text === "light" || text === "dark" ? text : "auto";
  } catch {
    return "auto"; // a browser may refuse storage
  }
}

export const theme = signal<Theme>(stored());

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

/** dark is true if the page is dark now. Charts are painted again if it changes. */
export const dark = signal(false);

function apply(): void {
  dark.value = theme.value === "dark" || (theme.value === "auto" && prefersDark.matches);
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
}

/** setTheme chooses a theme and remembers it in this browser. */
export function setTheme(t: Theme): void {
  theme.value = t;
  try {
    localStorage.setItem(key, t);
  } catch {
    // it is used until the page is closed
  }
  apply();
}

prefersDark.addEventListener("change", apply);
apply();
