// Pauses, and the phases of a run.

import { setTimeout } from "k6/timers";

import { openingSeconds, seconds } from "./settings.js";

export async function pause(length) {
  const until = Date.now() + length * 1000;
  // A timer of k6 may fire early while others come and go.
  do {
    await new Promise((done) => setTimeout(done, Math.max(0, until - Date.now())));
  } while (Date.now() < until);
}

export const between = (least, most) => least + Math.random() * (most - least);

// When the load begins and ends, in milliseconds since 1970, of a run whose preparation ended at `began`.
export const loadBegins = (began) => began + openingSeconds * 1000;
export const loadEnds = (began) => loadBegins(began) + seconds * 1000;

// The middle third of the load: where a spike is.
export const spikeBegins = (began) => loadBegins(began) + (seconds / 3) * 1000;
export const spikeEnds = (began) => loadBegins(began) + ((2 * seconds) / 3) * 1000;

// A request that was sent at `time` belongs to the spike until two seconds after it, when what has piled up should be gone.
export function phaseOf(time, began) {
  return time >= spikeBegins(began) && time < spikeEnds(began) + 2000 ? "spike" : "steady";
}
