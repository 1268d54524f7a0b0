// All of it at once: sockets, events, and lives of orders of the same businesses.

import { arrivals } from "./arrivals.js";
import { crowd } from "./listeners.js";
import { eventsOfAnOrder, requestsOfAnOrder } from "./orders.js";
import { eventsPerSecond, requestsPerSecond, rooms, seconds, sockets } from "./settings.js";

const ordersPerSecond = requestsPerSecond / requestsOfAnOrder;

// The scenarios of k6, and how many orders and deliveries there have to be at least.
export function mix(behaviour) {
  const events = eventsPerSecond + ordersPerSecond * eventsOfAnOrder;
  return {
    scenarios: {
      crowd: crowd(behaviour),
      events: arrivals("publish", eventsPerSecond, 0.5),
      orders: arrivals("order", ordersPerSecond, 4, { env: { LISTENED: "1" } }),
    },
    ordersAtLeast: 0.95 * ordersPerSecond * seconds,
    deliveriesAtLeast: (0.95 * events * seconds * sockets) / rooms,
  };
}

// The same load once more, so many times as strong, for a part of the run.
export function addition(factor, from, length) {
  return {
    more_events: arrivals("publish", eventsPerSecond * factor, 0.5, { from, length }),
    more_orders: arrivals("order", ordersPerSecond * factor, 4, { from, length, env: { LISTENED: "1" } }),
  };
}
