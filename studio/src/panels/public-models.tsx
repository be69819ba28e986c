/** Public trained models: size and licenses first, then the download, which this computer keeps. */
import { signal } from "@preact/signals";
import type { PublicModel } from "avseg/studio";
import { useState } from "preact/hooks";
import { downloadModel } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";
import { bytes } from "../format";
import { Problem } from "../parts/controls";
import { openModel } from "../state/engine";
import { refresh, server } from "../state/server";

const download = {
  name: signal<string | undefined>(undefined),
  done: signal(0),
  total: signal<number | undefined>(undefined),
  failure: signal<Failure | undefined>(undefined),
};
let stop = new AbortController();

/** Opens a public model; what is not in the cache yet is downloaded first. */
async function open({ name, downloadBytes }: PublicModel): Promise<void> {
  stop = new AbortController();
  const { signal: stopped } = stop;
  download.failure.value = undefined;
  try {
    if (downloadBytes > 0) {
      download.name.value = name;
      download.done.value = 0;
      download.total.value = undefined;
      const onProgress = (done: number, total: number | undefined): void => {
        download.done.value = done;
        download.total.value = total;
      };
      await downloadModel(name, { signal: stopped, onProgress });
      await refresh();
    }
    await openModel({ kind: "public", name }, name);
  } catch (error) {
    if (!stopped.aborted) download.failure.value = failureOf(error);
  } finally {
    download.name.value = undefined;
  }
}

/** The choice; nothing without the local server. */
export function PublicModels() {
  const models = server.value?.models ?? [];
  const [chosenName, choose] = useState("");
  const chosen = models.find(({ name }) => name === chosenName) ?? models[0];
  if (!chosen) return null;
  const running = download.name.value;
  return (
    <section class="stack" aria-labelledby="public-models">
      <h3 class="group" id="public-models">
        Published models, on this computer
      </h3>
      <select
        aria-label="Published model"
        value={chosen.name}
        disabled={running !== undefined}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        {models.map(({ name, downloadBytes }) => (
          <option key={name} value={name}>
            {name}
            {downloadBytes === 0 && ", downloaded"}
          </option>
        ))}
      </select>
      <p class="note">
        {chosen.title}. License of the code: {chosen.codeLicense ?? "none stated"}; of the weights:{" "}
        {chosen.weightsLicense ?? "none stated"}. Published at {chosen.homepage}.
      </p>
      {running === undefined ? (
        <button type="button" class="button" onClick={() => open(chosen)}>
          {chosen.downloadBytes > 0
            ? `Download ${bytes(chosen.downloadBytes)} from its authors and open`
            : `Open ${chosen.name}`}
        </button>
      ) : (
        <Download name={running} />
      )}
      {download.failure.value && <Problem {...download.failure.value} />}
    </section>
  );
}

function Download({ name }: { name: string }) {
  const { done, total } = download;
  return (
    <div class="stack" role="status">
      <progress max={total.value ?? 1} value={total.value && done.value} aria-label={`Download of ${name}`} />
      <span class="note">
        {bytes(done.value)}
        {total.value !== undefined && ` of ${bytes(total.value)}`}. What arrived is kept when you stop.
      </span>
      <button
        type="button"
        class="button"
        onClick={() => stop.abort(new DOMException("stopped", "AbortError"))}
      >
        Stop the download
      </button>
    </div>
  );
}
