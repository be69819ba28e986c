/** Choosing a model. */
import { modelFirst } from "avseg/studio";
import { type ShippedKind, shippedModels } from "../engine/shipped-models";
import { bytes } from "../format";
import { Choice, FileButton, Problem } from "../parts/controls";
import { Modal } from "../parts/modal";
import { badge, chooseEngine, engineId, model, openModel } from "../state/engine";
import { server } from "../state/server";
import { dialog } from "../state/settings";
import { PublicModels } from "./public-models";

/** Files that can be models, for the file chooser. */
export const modelFiles = ".onnx,.data,.safetensors,.pth,.pt";

/** Opens model files that the user gave. */
export function openModelFiles(files: readonly File[]): Promise<void> {
  const sorted = modelFirst(files);
  return openModel({ kind: "files", files: sorted }, sorted[0]?.name ?? "model");
}

/** A model that is part of the app. */
function ShippedModelChoice({ kind }: { readonly kind: ShippedKind }) {
  const { name, bytes: size, license, note } = shippedModels[kind];
  return (
    <>
      <button
        type="button"
        class="button"
        disabled={model.loading.value}
        onClick={() => openModel({ kind }, name)}
      >
        {name}, {bytes(size)}, {license}
      </button>
      <p class="note">{note}</p>
    </>
  );
}

/** The dialog. */
export function ModelDialog() {
  const facts = model.facts.value;
  const failure = model.failure.value;
  const runs = (server.value?.runs ?? []).filter(({ hasCheckpoint }) => hasCheckpoint).slice(0, 8);
  return (
    <Modal title="Model">
      <p class="lead">
        {facts
          ? `${model.name.value} is open: ${facts.task.toUpperCase()}, frames of ${facts.imageSize} × ${facts.imageSize}, ` +
            `${facts.classes.length > 1 ? `${facts.classes.length} classes` : "one class"}. ${badge.value}.`
          : badge.value}
      </p>
      {facts && !globalThis.crossOriginIsolated && (
        <p class="note">
          This page is not cross-origin isolated, so that WASM runs on one thread. Serve it with the headers
          Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.
        </p>
      )}
      {failure && <Problem {...failure} />}
      {server.value && (
        <Choice
          label="Runs on"
          options={[
            { id: "tab", label: "This tab" },
            { id: "native", label: "This computer" },
          ]}
          value={engineId.value}
          onChange={chooseEngine}
        />
      )}
      <div class="stack">
        <ShippedModelChoice kind="natural" />
        <ShippedModelChoice kind="small" />
        <FileButton accept={modelFiles} multiple onFiles={openModelFiles}>
          Open a model file …
        </FileButton>
        <p class="note">
          An ONNX file of <code>avseg export</code> (with its <code>.data</code> file, if it has one), or a
          checkpoint of
          <code> avseg train</code> with the encoders it was trained on. You can also drop the files anywhere.
        </p>
        {runs.length > 0 && <h2 class="group">Training runs of this computer</h2>}
        {runs.map(({ id, name, best }) => (
          <button
            key={id}
            type="button"
            class="button"
            onClick={() => openModel({ kind: "run", run: id }, name)}
          >
            {name}
            {best !== undefined && `, mIoU ${best.toFixed(3)}`}
          </button>
        ))}
        <PublicModels />
      </div>
      <button type="button" class="button primary" onClick={() => (dialog.value = undefined)}>
        Close
      </button>
    </Modal>
  );
}
