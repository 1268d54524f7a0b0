// Samples memory and open files of each hub during a soak, and says at its end what they gained after the warm-up.

import http from "k6/http";

import { loadBegins, loadEnds, pause } from "./clock.js";
import { answersWrong, filesGain, hubSamples, memoryGainMib } from "./metrics.js";
import { hubs, seconds } from "./settings.js";

const everySeconds = 2;

// So many samples there are at least, or the soak judges nothing.
export const samplesAtLeast = Math.max(1, Math.floor((0.8 * seconds * hubs.length) / everySeconds));

function valueOf(text, name) {
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line ? Number(line.slice(name.length + 1)) : NaN;
}

async function sample(hub) {
  const answer = await http.asyncRequest("GET", `${hub}/metrics`, null, { tags: { name: "GET /metrics", kind: "watch" } });
  const memory = valueOf(answer.body || "", "process_resident_memory_bytes") / 1048576;
  const files = valueOf(answer.body || "", "process_open_fds");
  // In production /metrics is for trusted networks; a soak without it would judge nothing.
  if (memory > 0 && files > 0) hubSamples.add(1);
  else answersWrong.add(1);
  return { memory, files };
}

// A password hash takes 19 MiB for a moment: the least of the samples is what stays.
const least = (samples, figure) => Math.min(...samples.map((one) => one[figure]));

export async function watch(data) {
  const samples = hubs.map(() => []);
  await pause((loadBegins(data.began) - Date.now()) / 1000);
  while (Date.now() < loadEnds(data.began)) {
    (await Promise.all(hubs.map(sample))).forEach((one, hub) => samples[hub].push(one));
    await pause(everySeconds);
  }
  for (const ofHub of samples) {
    const quarter = Math.floor(ofHub.length / 4);
    // The first half is warm-up: rooms, caches and pools fill to their bounds.
    const [before, after] = [ofHub.slice(2 * quarter, 3 * quarter), ofHub.slice(3 * quarter)];
    memoryGainMib.add(least(after, "memory") - least(before, "memory"));
    filesGain.add(least(after, "files") - least(before, "files"));
  }
}

// The scenario of k6 that runs `watch`.
export const watching = (length) => ({
  executor: "per-vu-iterations",
  exec: "watch",
  vus: 1,
  iterations: 1,
  maxDuration: `${length + 60}s`,
});
