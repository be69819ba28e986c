/** The controls that all panels are made of. */
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

/** A button that shows an icon only; `label` is its name, and its tip with the key that does the same. */
export function IconButton({
  icon,
  label,
  shortcut,
  pressed,
  disabled = false,
  onClick,
}: {
  icon: IconName;
  label: string;
  shortcut?: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={label}
      aria-pressed={pressed}
      title={shortcut ? `${label} (${shortcut})` : label}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A slider with its name and its value. */
export function Slider({
  label,
  value,
  min = 0,
  max = 1,
  step = 0.01,
  text,
  onInput,
}: {
  label: string;
  value: number;
  min?: number;
  max?: number;
  step?: number;
  /** The value for people. */
  text: string;
  onInput: (value: number) => void;
}) {
  return (
    <label class="slider">
      <span>{label}</span>
      <span class="value">{text}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={text}
        onInput={(event) => onInput(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

/** A choice of one among few. */
export function Choice<T extends string>({
  label,
  options,
  value,
  columns = 2,
  onChange,
}: {
  label: string;
  options: readonly { readonly id: T; readonly label: string }[];
  value: T;
  columns?: number;
  onChange: (id: T) => void;
}) {
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      <div style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
        {options.map(({ id, label: name }) => (
          <button key={id} type="button" aria-pressed={id === value} onClick={() => onChange(id)}>
            {name}
          </button>
        ))}
      </div>
    </fieldset>
  );
}

/** A button that opens the computer's file chooser. */
export function FileButton({
  accept,
  multiple = false,
  primary = false,
  onFiles,
  children,
}: {
  accept: string;
  multiple?: boolean;
  primary?: boolean;
  onFiles: (files: File[]) => void;
  children: ComponentChildren;
}) {
  return (
    <label class={primary ? "button primary" : "button"}>
      <input
        type="file"
        class="visually-hidden"
        accept={accept}
        multiple={multiple}
        onChange={({ currentTarget }) => {
          const files = [...(currentTarget.files ?? [])];
          currentTarget.value = "";
          if (files.length > 0) onFiles(files);
        }}
      />
      {children}
    </label>
  );
}

/** What went wrong and what to do. */
export function Problem({ message, hint }: { message: string; hint?: string | undefined }) {
  return (
    <div class="problem" role="alert">
      <strong>{message}</strong>
      {hint && <span>{hint}</span>}
    </div>
  );
}
