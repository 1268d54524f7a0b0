// Soak: the mixed load for a longer time, eight minutes unless it is told otherwise; memory and open files of each hub level off.

import { bounds, commonOptions } from "./lib/metrics.js";
import { mix } from "./lib/mix.js";
import { openingSeconds, seconds } from "./lib/settings.js";
import { makeTown } from "./lib/town.js";
import { samplesAtLeast, watching } from "./lib/watch.js";

export { listen } from "./lib/listeners.js";
export { order } from "./lib/orders.js";
export { publish } from "./lib/publisher.js";
export { handleSummary } from "./lib/report.js";
export { watch } from "./lib/watch.js";

const { scenarios, ordersAtLeast, deliveriesAtLeast } = mix("leave-once");

export const options = {
  ...commonOptions,
  scenarios: { ...scenarios, watch: watching(openingSeconds + seconds) },
  thresholds: {
    ...bounds({ ordersAtLeast, deliveriesAtLeast, viaPoll: true }),
    // From the third quarter to the last one.
    hub_memory_gain_mib: ["max<8"],
    hub_files_gain: ["max<10"],
    hub_samples: [`count>=${samplesAtLeast}`],
  },
};

export const setup = makeTown;
