// Smoke: everything that the other scenarios use, for some seconds and at a small scale. It shows that they work: the bounds of
// times are wide and a hub may refuse with a time to come again, since a busy machine is no reason to fail.

import { bounds, commonOptions } from "./lib/metrics.js";
import { addition, mix } from "./lib/mix.js";
import { openingSeconds, seconds } from "./lib/settings.js";
import { makeTown } from "./lib/town.js";
import { samplesAtLeast, watching } from "./lib/watch.js";

export { listen } from "./lib/listeners.js";
export { order } from "./lib/orders.js";
export { publish } from "./lib/publisher.js";
export { handleSummary } from "./lib/report.js";
export { watch } from "./lib/watch.js";

const { scenarios, ordersAtLeast, deliveriesAtLeast } = mix("storm");

export const options = {
  ...commonOptions,
  scenarios: { ...scenarios, ...addition(0.5, seconds / 3, seconds / 3), watch: watching(openingSeconds + seconds) },
  thresholds: {
    ...bounds({ ordersAtLeast, deliveriesAtLeast, viaPoll: true, shedding: true, requestMs: 5000, eventMs: 5000 }),
    hub_samples: [`count>=${samplesAtLeast}`],
  },
};

export const setup = makeTown;
