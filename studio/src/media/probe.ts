/** What a file holds, read from its headers before anything is decoded. */
import { ALL_FORMATS, BlobSource, HLS, Input } from "mediabunny";

/** A video as the library strip shows it. */
export interface VideoFacts {
  readonly durationSeconds: number;
  readonly width: number;
  readonly height: number;
  readonly videoCodec: string;
  /** `undefined` without sound. */
  readonly audioCodec: string | undefined;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly container: string;
  readonly rotationDegrees: number;
  /** Pictures per second on average. */
  readonly frameRate: number;
  readonly bytes: number;
  /** Whether this browser can decode picture and sound; otherwise why not. */
  readonly obstacle: string | undefined;
}

/** Playlists name other files. */
export const fileFormats = ALL_FORMATS.filter((format) => format !== HLS);

/** Reads a file's headers. Throws with a sentence that says what to do. */
export async function probe(file: File): Promise<VideoFacts> {
  if (file.size === 0) throw new Error(`${file.name} is empty. Choose another file.`);
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const video = await input.getPrimaryVideoTrack().catch(() => {
    throw new Error(
      `${file.name} is not a video that browsers read, or it is damaged. Convert it to MP4 (H.264 and AAC).`,
    );
  });
  const audio = await input.getPrimaryAudioTrack();
  if (!video) {
    throw new Error(
      `${file.name} has no picture. Choose a video; a sound file can be used under "Does it listen?".`,
    );
  }
  const obstacles: string[] = [];
  for (const track of [video, audio]) {
    if (track && !(await track.canDecode()))
      obstacles.push(`${track.type} (${(await track.getCodec()) ?? "unknown"})`);
  }
  const stats = await video.computePacketStats(60);
  return {
    durationSeconds: await video.computeDuration(),
    width: await video.getDisplayWidth(),
    height: await video.getDisplayHeight(),
    videoCodec: (await video.getCodec()) ?? "unknown",
    audioCodec: audio ? ((await audio.getCodec()) ?? "unknown") : undefined,
    channels: (await audio?.getNumberOfChannels()) ?? 0,
    sampleRateHz: (await audio?.getSampleRate()) ?? 0,
    container: (await input.getFormat()).name,
    rotationDegrees: await video.getRotation(),
    frameRate: stats.averagePacketRate,
    bytes: file.size,
    obstacle: obstacles.length > 0 ? `This browser cannot decode its ${obstacles.join(" and ")}.` : undefined,
  };
}
