// Scenarios of k6 in which requests come at a pace, whether those before them were answered or not.

import { openingSeconds, seconds } from "./settings.js";

// `rate` calls of `exec` a second; `longest` is how long one may take in seconds, which says how many virtual users it needs.
export function arrivals(exec, rate, longest, { from = 0, length = seconds, env = {} } = {}) {
  const virtualUsers = Math.ceil(rate * longest) + 5;
  // A rate with a fraction is said for a longer unit of time.
  return {
    executor: "constant-arrival-rate",
    exec,
    rate: Math.max(1, Math.round(rate * 10)),
    timeUnit: "10s",
    startTime: `${Math.round((openingSeconds + from) * 1000)}ms`,
    duration: `${Math.round(length * 1000)}ms`,
    preAllocatedVUs: virtualUsers,
    maxVUs: virtualUsers * 4,
    gracefulStop: "30s",
    env,
  };
}
