/** What a report shows; `renderReport` turns it into one HTML file. */

/** A metric in large type. */
export interface ReportTile {
  readonly label: string;
  readonly value: string;
  /** One line below, e.g. how it is averaged. */
  readonly note?: string | undefined;
}

/** One line of a chart. */
export interface ReportSeries {
  readonly name: string;
  /** `[x, y]`, ascending in x; points that are not finite are left out. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Draws the points faintly and their moving average on top: for noisy curves such as a loss per step. */
  readonly smooth?: boolean | undefined;
}

/** A line chart, e.g. a training curve. */
export interface ReportCurves {
  readonly kind: "curves";
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly ReportSeries[];
  /** Vertical marks, e.g. the epoch of the best checkpoint. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[] | undefined;
}

/** Horizontal bars, values in 0..1. */
export interface ReportBars {
  readonly kind: "bars";
  readonly title: string;
  readonly bars: readonly {
    readonly label: string;
    readonly value: number;
    readonly note?: string | undefined;
    /** Bars of one number have one color. Default: the bar's own number. */
    readonly series?: number | undefined;
  }[];
  /** One sentence below: what the bars say. */
  readonly caption?: string | undefined;
}

/** A clip's pictures, frame by frame. Images are `data:` addresses. */
export interface ReportClip {
  readonly id: string;
  readonly category: string;
  /** E.g. `[["mIoU", "0.812"], ["F-score", "0.901"]]`. */
  readonly metrics: readonly (readonly [label: string, value: string])[];
  /** One per second. */
  readonly frames: readonly {
    readonly seconds: number;
    /** The frame with its ground truth; absent where the frame is not labeled. */
    readonly truth?: string | undefined;
  }[];
  /** The frames with the predicted masks: one row of pictures, or one of each model. */
  readonly predictions: readonly {
    /** What the row is called, e.g. the model's name. */
    readonly name: string;
    /** One line below the name, e.g. `mIoU 0.812`. */
    readonly note?: string | undefined;
    readonly pictures: readonly string[];
  }[];
  readonly sound?: ReportSound | undefined;
  /** Colors of the classes seen in the pictures, `#rrggbb` (AVSS). */
  readonly legend?: readonly { readonly name: string; readonly color: string }[] | undefined;
}

/** Loudness over the whole clip. */
export interface ReportSound {
  /** Values in 0..1, evenly spaced. */
  readonly envelope: readonly number[];
  /** What it was taken from, e.g. `waveform` or `loudness of the log-mel`. */
  readonly source: string;
}

/** Clips under one heading, e.g. "Worst clips". */
export interface ReportGallery {
  readonly title: string;
  readonly note?: string | undefined;
  readonly clips: readonly ReportClip[];
}

/** A table. Numbers are set right; a number in 0..1 of a column in `meters` gets a bar behind it. */
export interface ReportTable {
  readonly title: string;
  readonly note?: string | undefined;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
  /** Indices of columns whose values in 0..1 are drawn as bars. */
  readonly meters?: readonly number[] | undefined;
  /** Starts closed: for long tables. */
  readonly collapsed?: boolean | undefined;
}

/** A whole report. */
export interface Report {
  readonly title: string;
  /** One or two sentences: what was run on what. */
  readonly lead: string;
  readonly tiles: readonly ReportTile[];
  readonly charts: readonly (ReportCurves | ReportBars)[];
  readonly galleries: readonly ReportGallery[];
  readonly tables: readonly ReportTable[];
  /** Tables come before galleries. Default: false. */
  readonly tablesFirst?: boolean | undefined;
  /** Versions, machine, date, command. */
  readonly environment: readonly (readonly [name: string, value: string])[];
}

/** A fraction in 0..1 as it is printed: three decimals, `–` for `null`. */
export function formatFraction(value: number | null): string {
  return value === null || !Number.isFinite(value) ? "–" : value.toFixed(3);
}
