/** What the user has set: how masks are made and shown, and the page's theme. */
import { effect, signal } from "@preact/signals";
import { defaultStrength } from "avseg/studio";
import type { Look, LookId } from "../masks/compose";
import { type MaskControls, neutralControls } from "../masks/moment";

/** The chosen look. */
export const look = signal<Look>({ id: "overlay", opacity: defaultStrength, background: "#16a34a" });

/** How probabilities become masks. */
export const controls = signal<MaskControls>(neutralControls);

/** Changes some settings of the look. */
export function setLook(change: Partial<Look>): void {
  look.value = { ...look.value, ...change };
}

/** Chooses a look by its name. */
export function chooseLook(id: LookId): void {
  setLook({ id });
}

/** Changes some controls. */
export function setControls(change: Partial<MaskControls>): void {
  controls.value = { ...controls.value, ...change };
}

/** Goes back to the controls that leave the decision to the model. */
export function resetControls(): void {
  controls.value = neutralControls;
}

/** `auto` follows the system. */
export type Theme = "auto" | "light" | "dark";

const themeKey = "avseg-studio-theme";

function storedTheme(): Theme {
  const stored = localStorage.getItem(themeKey);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

/** The page's theme. */
export const theme = signal<Theme>(storedTheme());

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(themeKey, theme.value);
});

/** Which dialog is open. */
export const dialog = signal<"shortcuts" | "model" | "fine-tune" | undefined>(undefined);
