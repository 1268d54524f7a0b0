// Sockets: a crowd that listens and acknowledges, and events that are posted to its rooms.

import { arrivals } from "./lib/arrivals.js";
import { crowd } from "./lib/listeners.js";
import { bounds, commonOptions } from "./lib/metrics.js";
import { eventsPerSecond, rooms, seconds, sockets } from "./lib/settings.js";
import { makeTown } from "./lib/town.js";

export { listen } from "./lib/listeners.js";
export { publish } from "./lib/publisher.js";
export { handleSummary } from "./lib/report.js";

const deliveriesPerSecond = (eventsPerSecond * sockets) / rooms;

export const options = {
  ...commonOptions,
  scenarios: { crowd: crowd("stay"), events: arrivals("publish", eventsPerSecond, 0.5) },
  thresholds: bounds({ deliveriesAtLeast: 0.99 * deliveriesPerSecond * seconds }),
};

export const setup = makeTown;
