import assert from "node:assert/strict";
import test from "node:test";
import { intervalsCsv, intervalsVtt, soundingIntervals } from "./intervals.js";

const object = (name: string, confidence = 0.5) => ({ class: name, confidence, areaFraction: 0.1 });

test("masks become intervals: by class, by start, cut at the end", () => {
  const frames = [
    { objects: [object("dog", 0.6)] },
    { objects: [object("dog", 0.8), object('a, "b" & <c>')] },
    { objects: [] },
    { objects: [object("dog")] },
  ];
  const intervals = soundingIntervals(frames, { perSecond: 2, startSeconds: 60, endSeconds: 61.75 });
  assert.deepEqual(
    intervals.map((i) => [i.startSeconds, i.endSeconds, i.class]),
    [
      [60, 61, "dog"],
      [60.5, 61, 'a, "b" & <c>'],
      [61.5, 61.75, "dog"],
    ],
  );
  assert.equal(
    intervalsCsv(intervals),
    `start,end,class,confidence,area_fraction
60.000,61.000,dog,0.7000,0.1000
60.500,61.000,"a, ""b"" & <c>",0.5000,0.1000
61.500,61.750,dog,0.5000,0.1000
`,
  );
  assert.equal(
    intervalsVtt(intervals),
    `WEBVTT

00:01:00.000 --> 00:01:01.000
dog

00:01:00.500 --> 00:01:01.000
a, "b" &amp; &lt;c&gt;

00:01:01.500 --> 00:01:01.750
dog
`,
  );
  assert.equal(intervalsVtt([]), "WEBVTT\n");
});
