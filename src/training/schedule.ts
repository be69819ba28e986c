/** Learning rates over the course of a run, as pure functions of the step. */

/** How the learning rate changes; the published recipe keeps it constant. */
export interface ScheduleConfig {
  readonly kind: "constant" | "cosine";
  /** Steps of linear rise from 0 at the start. */
  readonly warmupSteps?: number | undefined;
  /** Share of the full rate at which `cosine` ends. */
  readonly finalShare?: number | undefined;
}

/** The factor on the base learning rate for `step` (counted from 0) of `totalSteps`. */
export function scheduleFactor(schedule: ScheduleConfig, step: number, totalSteps: number): number {
  const { kind, warmupSteps = 0, finalShare = 0 } = schedule;
  if (step < warmupSteps) return (step + 1) / warmupSteps;
  if (kind === "constant") return 1;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
