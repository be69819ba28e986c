/** How the mask is made and how it looks. */
import { percent } from "../format";
import { looks } from "../masks/compose";
import { neutralControls } from "../masks/moment";
import { Choice, Slider } from "../parts/controls";
import { chooseLook, controls, look, resetControls, setControls, setLook } from "../state/settings";

/** Looks whose strength can be set. */
const withStrength = new Set(["overlay", "spotlight", "gray", "blur", "pixelate"]);

/** The panel "Look". */
export function LookPanel() {
  const { id, opacity, background } = look.value;
  const { threshold, smoothingSeconds, minRegion } = controls.value;
  const changed = controls.value !== neutralControls;
  return (
    <>
      <Choice label="Look" options={looks} value={id} onChange={chooseLook} />
      {withStrength.has(id) && (
        <Slider
          label="Strength"
          value={opacity}
          text={percent(opacity)}
          onInput={(value) => setLook({ opacity: value })}
        />
      )}
      {id === "color" && (
        <label class="row">
          <span>Background</span>
          <input
            type="color"
            value={background}
            onInput={(event) => setLook({ background: event.currentTarget.value })}
          />
        </label>
      )}
      <h2 class="group">Mask</h2>
      <Slider
        label="Threshold"
        value={threshold}
        min={0.05}
        max={0.95}
        text={threshold.toFixed(2)}
        onInput={(value) => setControls({ threshold: value })}
      />
      <Slider
        label="Smoothing over time"
        value={smoothingSeconds}
        max={4}
        step={0.5}
        text={smoothingSeconds === 0 ? "off" : `${smoothingSeconds} s`}
        onInput={(value) => setControls({ smoothingSeconds: value })}
      />
      <Slider
        label="Smallest region"
        value={minRegion}
        max={0.05}
        step={0.001}
        text={minRegion === 0 ? "off" : percent(minRegion)}
        onInput={(value) => setControls({ minRegion: value })}
      />
      <button type="button" class="button quiet" disabled={!changed} onClick={resetControls}>
        Back to the model's own decision
      </button>
    </>
  );
}
