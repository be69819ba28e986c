/** The list of keyboard shortcuts. */
import { Modal } from "../parts/modal";
import { shortcuts } from "../player/shortcuts";

/** The dialog. */
export function ShortcutsDialog() {
  return (
    <Modal title="Keyboard shortcuts">
      <dl class="shortcuts">
        {shortcuts.map(({ shown, what }) => (
          <div key={shown}>
            <dt>
              <kbd>{shown}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
