/** Numbers for people. */

/** Seconds as `1:02.4`, or `1:02:03` from an hour on. */
export function clock(seconds: number): string {
  const s = Math.max(0, seconds);
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  if (hours > 0) {
    return `${hours}:${String(minutes).padStart(2, "0")}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  }
  return `${minutes}:${(s % 60).toFixed(1).padStart(4, "0")}`;
}

/** A duration in words: `8 s`, `3 min`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** How long ago a time in milliseconds since 1970 was: `5 s ago`, `3 days ago`. */
export function ago(time: number): string {
  const seconds = (Date.now() - time) / 1000;
  return seconds < 48 * 3600 ? `${duration(seconds)} ago` : `${Math.round(seconds / 86_400)} days ago`;
}

/** Bytes as `310 kB`, `4.2 MB`. */
export function bytes(count: number): string {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

/** A fraction as `12%`, below 10% as `1.2%`. */
export function percent(fraction: number): string {
  const value = 100 * fraction;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)}%`;
}
