/** When a file's tracks start, on ffmpeg's clock instead of the container's. */
import type { Input, InputAudioTrack, InputVideoTrack } from "mediabunny";
import { fragmentShift } from "./fragment-shift.js";

/** What is to be added to the times that mediabunny gives, in seconds. */
export interface TimeOffsets {
  readonly video: number;
  readonly audio: number;
}

/**
 * ffmpeg counts from the first packet of the file, in MP4 files from what edit lists leave of picture and sound; in
 * fragmented ones it does not look at it that way.
 */
export async function timeOffsets(
  input: Input,
  file: Blob,
  { video, audio }: { readonly video: InputVideoTrack; readonly audio: InputAudioTrack | null },
): Promise<TimeOffsets> {
  const { IsobmffInputFormat } = await import("mediabunny");
  const videoStart = await video.getFirstTimestamp();
  const { audioStart, lead } = audio
    ? await soundStart(audio, input)
    : { audioStart: Number.POSITIVE_INFINITY, lead: 0 };
  if (!((await input.getFormat()) instanceof IsobmffInputFormat)) {
    const zero = Math.min(videoStart, audioStart);
    return { video: -zero, audio: lead - zero };
  }
  const ticks = await fragmentShift(file, video.id);
  if (ticks === undefined) {
    const zero = Math.max(0, Math.min(videoStart, audioStart));
    return { video: videoStart < 0 ? await trimmedShift(video) : -zero, audio: lead - zero };
  }
  const shift = ticks / (await video.getTimeResolution());
  const zero = Math.min(videoStart + shift, audioStart);
  return { video: shift - zero, audio: lead - zero };
}

/** What an edit list leaves of a video starts at zero, also where it cuts between two frames. */
async function trimmedShift(video: InputVideoTrack): Promise<number> {
  const { EncodedPacketSink } = await import("mediabunny");
  const cut = await new EncodedPacketSink(video).getPacket(0, { metadataOnly: true });
  return cut && cut.timestamp < 0 ? -(cut.timestamp + cut.duration) : 0;
}

/** When the first packet of sound starts, and how much later the first samples that a decoder gives are due. */
async function soundStart(
  audio: InputAudioTrack,
  input: Input,
): Promise<{ audioStart: number; lead: number }> {
  const { EncodedPacketSink, MatroskaInputFormat } = await import("mediabunny");
  const codec = await audio.getCodec();
  const audioStart = await audio.getFirstTimestamp();
  if (codec === "opus") {
    const lead = opusLead((await audio.getDecoderConfig())?.description);
    if (!((await input.getFormat()) instanceof MatroskaInputFormat)) return { audioStart, lead };
    // Matroska's times, in milliseconds, are those of the samples that come out.
    return { audioStart: audioStart - Math.round(lead * 1000) / 1000, lead: 0 };
  }
  if (codec !== "vorbis") return { audioStart, lead: 0 };
  // The first packet only prepares the second.
  const sink = new EncodedPacketSink(audio);
  const first = await sink.getFirstPacket({ metadataOnly: true });
  const second = first && (await sink.getNextPacket(first, { metadataOnly: true }));
  return { audioStart, lead: second ? second.timestamp - audioStart : 0 };
}

/** Seconds that an Opus decoder drops at its start, by the header of the track. */
function opusLead(header: AllowSharedBufferSource | undefined): number {
  if (header === undefined) return 0;
  const [buffer, at] = ArrayBuffer.isView(header) ? [header.buffer, header.byteOffset] : [header, 0];
  return new DataView(buffer, at).getUint16(10, true) / 48_000;
}
