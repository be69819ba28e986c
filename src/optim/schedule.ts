/** Learning rates over the course of a run, as functions of the step. */

/** How the learning rate changes. The published recipe keeps it constant. */
export interface ScheduleConfig {
  readonly kind: "constant" | "cosine";
  /** Steps at the start over which the rate rises linearly from 0. Default: 0. */
  readonly warmupSteps?: number | undefined;
  /** Fraction of the full rate at which `cosine` ends. Default: 0. */
  readonly finalFraction?: number | undefined;
}

/** The factor on the base learning rate at `step`, counted from 0, of `totalSteps`. */
export function scheduleFactor(schedule: ScheduleConfig, step: number, totalSteps: number): number {
  const { kind, warmupSteps = 0, finalFraction = 0 } = schedule;
  if (step < warmupSteps) return (step + 1) / warmupSteps;
  if (kind === "constant") return 1;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
