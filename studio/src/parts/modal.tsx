/** A dialog over the page. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dialog } from "../state/settings";
import { IconButton } from "./controls";

/** A modal dialog, which Escape and its close button end. */
export function Modal({
  title,
  wide = false,
  children,
}: {
  title: string;
  /** For content beside each other. */
  wide?: boolean;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  const close = (): void => {
    dialog.value = undefined;
  };
  return (
    <dialog ref={element} class={wide ? "wide" : undefined} aria-label={title} onClose={close}>
      <header>
        <h2>{title}</h2>
        <IconButton icon="close" label="Close" onClick={close} />
      </header>
      {children}
    </dialog>
  );
}
