/** The buttons under the picture. */

import { clock } from "../format";
import { IconButton } from "../parts/controls";
import { player, setSpeed, speeds, stepFrames, toggleLoop, toggleMuted, togglePlay } from "../state/player";

/** Play, step, time, speed, loop and sound. */
export function Transport() {
  const { time, duration, playing, speed, loop, muted } = player;
  return (
    <fieldset class="transport" aria-label="Playback">
      <IconButton icon="back" label="One frame back" shortcut="," onClick={() => stepFrames(-1)} />
      <IconButton
        icon={playing.value ? "pause" : "play"}
        label={playing.value ? "Pause" : "Play"}
        shortcut="Space"
        onClick={togglePlay}
      />
      <IconButton icon="forward" label="One frame forward" shortcut="." onClick={() => stepFrames(1)} />
      <span class="clock">
        <b>{clock(time.value)}</b> / {clock(duration.value)}
      </span>
      <span class="spring" />
      <label class="speed">
        <span class="visually-hidden">Speed</span>
        <select value={speed.value} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>
          {speeds.map((value) => (
            <option key={value} value={value}>
              {value}×
            </option>
          ))}
        </select>
      </label>
      <IconButton icon="loop" label="Loop" shortcut="L" pressed={loop.value} onClick={toggleLoop} />
      <IconButton
        icon={muted.value ? "muted" : "sound"}
        label="Mute"
        shortcut="M"
        pressed={muted.value}
        onClick={toggleMuted}
      />
    </fieldset>
  );
}
