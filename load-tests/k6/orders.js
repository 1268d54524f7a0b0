// Order flow over HTTP: lives of orders, each followed by its customer with long polls at other hubs than those that move it.

import { arrivals } from "./lib/arrivals.js";
import { bounds, commonOptions } from "./lib/metrics.js";
import { requestsOfAnOrder } from "./lib/orders.js";
import { requestsPerSecond, seconds } from "./lib/settings.js";
import { makeTown } from "./lib/town.js";

export { order } from "./lib/orders.js";
export { handleSummary } from "./lib/report.js";

const ordersPerSecond = requestsPerSecond / requestsOfAnOrder;

export const options = {
  ...commonOptions,
  scenarios: { orders: arrivals("order", ordersPerSecond, 4) },
  thresholds: bounds({ ordersAtLeast: 0.95 * ordersPerSecond * seconds, viaPoll: true }),
};

export const setup = makeTown;
