/** The list of keyboard shortcuts. */
import { Modal } from "../parts/modal";
import { editorKeys } from "../player/editor-keys";
import { shortcuts } from "../player/shortcuts";

/** The dialog. */
export function ShortcutsDialog() {
  return (
    <Modal title="Keyboard shortcuts">
      <Keys keys={shortcuts} />
      <h2 class="group">On the picture of the panel "Correct"</h2>
      <Keys keys={editorKeys} />
    </Modal>
  );
}

function Keys({ keys }: { keys: readonly { readonly shown: string; readonly what: string }[] }) {
  return (
    <dl class="shortcuts">
      {keys.map(({ shown, what }) => (
        <div key={shown}>
          <dt>
            <kbd>{shown}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
