// Mixed: sockets, events and lives of orders at once; every socket leaves once and comes back at another hub with its cursor.

import { bounds, commonOptions } from "./lib/metrics.js";
import { mix } from "./lib/mix.js";
import { makeTown } from "./lib/town.js";

export { listen } from "./lib/listeners.js";
export { order } from "./lib/orders.js";
export { publish } from "./lib/publisher.js";
export { handleSummary } from "./lib/report.js";

const { scenarios, ordersAtLeast, deliveriesAtLeast } = mix("leave-once");

export const options = {
  ...commonOptions,
  scenarios,
  thresholds: bounds({ ordersAtLeast, deliveriesAtLeast, viaPoll: true }),
};

export const setup = makeTown;
