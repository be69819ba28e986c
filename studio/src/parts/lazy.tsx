/** Parts of the app that are loaded when they are first shown. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

/** A component whose code `load` fetches; until then an empty region stands in for it. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  const loaded = signal<ComponentType<Props> | undefined>(undefined);
  return function Lazy(props: Props) {
    useEffect(() => {
      if (loaded.value) return;
      void load().then((component) => {
        // Signals take functions as values, unlike the setters of hooks.
        loaded.value = component;
      });
    }, []);
    const Component = loaded.value;
    return Component ? <Component {...props} /> : <div class="lazy" aria-busy="true" />;
  };
}
