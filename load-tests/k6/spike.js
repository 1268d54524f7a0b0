// Spike: the mixed load, in its middle third SPIKE times as much (1.5), which begins with half of the sockets leaving and coming
// back within five seconds, as after a drain. Up to 1.5 the bounds hold all the time and nothing is refused. Above it the bounds
// of times hold before and after, and in between a hub may refuse with a time to come again; whatever it confirmed arrives.

import { bounds, commonOptions } from "./lib/metrics.js";
import { addition, mix } from "./lib/mix.js";
import { seconds, spikeFactor } from "./lib/settings.js";
import { makeTown } from "./lib/town.js";

export { listen } from "./lib/listeners.js";
export { order } from "./lib/orders.js";
export { publish } from "./lib/publisher.js";
export { handleSummary } from "./lib/report.js";

const { scenarios, ordersAtLeast, deliveriesAtLeast } = mix("storm");
const beyond = spikeFactor > 1.5;
// Up to 1.5 nothing is refused, so that all of the addition has to arrive as well.
const whole = beyond ? 1 : (2 + spikeFactor) / 3;

export const options = {
  ...commonOptions,
  scenarios: { ...scenarios, ...addition(spikeFactor - 1, seconds / 3, seconds / 3) },
  thresholds: bounds({
    ordersAtLeast: ordersAtLeast * whole,
    deliveriesAtLeast: deliveriesAtLeast * whole,
    viaPoll: true,
    steady: beyond,
    shedding: beyond,
  }),
};

export const setup = makeTown;
