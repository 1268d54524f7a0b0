// The measured figures and their bounds. A bound that is missed makes k6 end with status 99.

import { Counter, Trend } from "k6/metrics";

// From the moment a request was sent to the arrival of its event, by `via` (socket, poll) and `phase` (steady, spike).
export const deliveryMs = new Trend("delivery_ms", true);

// From the time of an event by the hub's store to its arrival at a socket. It needs clocks that agree.
export const sinceCommitMs = new Trend("since_commit_ms", true);

// Events that sockets received, each once and in order.
export const deliveries = new Counter("deliveries");

// Grows by the sockets of a room with each event that a hub confirmed, falls with each that a socket received: 0 at the end.
export const deliveriesMissing = new Counter("deliveries_missing");

// Events that are behind the cursor of a socket when all is over.
export const deliveriesLate = new Counter("deliveries_late");

// Events at or before the cursor of their reader, and events that came after a gap.
export const deliveriesRepeated = new Counter("deliveries_repeated");
export const deliveriesOutOfOrder = new Counter("deliveries_out_of_order");

// Events whose content is not what was sent.
export const deliveriesWrong = new Counter("deliveries_wrong");

// Sockets that had to start again from the present state, that a hub or the network ended, that a hub refused before the upgrade,
// and that got no hello at all or no answer to their close frame.
export const resyncs = new Counter("resyncs");
export const socketsLost = new Counter("sockets_lost");
export const socketsRefused = new Counter("sockets_refused");
export const socketsSilent = new Counter("sockets_silent");
// Sockets that were opened again since k6 had lost their hello.
export const socketsReopened = new Counter("sockets_reopened");
export const socketsOpened = new Counter("sockets_opened");

// Answers that are neither wanted nor a refusal with a time to come again; such refusals; requests without an answer.
export const answersWrong = new Counter("answers_wrong");
export const answersShed = new Counter("answers_shed");
export const answersLost = new Counter("answers_lost");

// Orders that went through their whole life, with every event of it in the order's room.
export const ordersDone = new Counter("orders_done");

// Samples of hubs, and what memory and open files of each hub gained after the warm-up of a soak.
export const hubSamples = new Counter("hub_samples");
export const memoryGainMib = new Trend("hub_memory_gain_mib");
export const filesGain = new Trend("hub_files_gain");

const none = ["count==0"];

// Bounds of a scenario. `steady` bounds the times outside of a spike only; `requestMs` and `eventMs` are the targets.
export function bounds({
  deliveriesAtLeast = 0,
  ordersAtLeast = 0,
  viaPoll = false,
  steady = false,
  shedding = false,
  requestMs = 100,
  eventMs = 50,
}) {
  const phase = steady ? ",phase:steady" : "";
  // Without a bound, so that the summary has them.
  const within = steady ? ["http_req_duration{kind:request", "delivery_ms{via:socket", "delivery_ms{via:poll"] : [];
  const wanted = {
    ...Object.fromEntries(within.map((name) => [`${name},phase:spike}`, []])),
    [`http_req_duration{kind:request${phase}}`]: [`p(95)<${requestMs}`],
    answers_wrong: none,
    answers_lost: none,
    dropped_iterations: none,
    deliveries_repeated: none,
    deliveries_out_of_order: none,
    deliveries_wrong: none,
  };
  if (!shedding) Object.assign(wanted, { answers_shed: none, sockets_refused: none });
  if (ordersAtLeast > 0) wanted.orders_done = [`count>=${Math.max(1, Math.floor(ordersAtLeast))}`];
  if (viaPoll) wanted[`delivery_ms{via:poll${phase}}`] = [`p(99)<${eventMs}`];
  if (deliveriesAtLeast > 0) {
    Object.assign(wanted, {
      [`delivery_ms{via:socket${phase}}`]: [`p(99)<${eventMs}`],
      [`since_commit_ms{via:socket${phase}}`]: [`p(99)<${eventMs}`],
      deliveries: [`count>=${Math.floor(deliveriesAtLeast)}`],
      deliveries_missing: none,
      deliveries_late: none,
      resyncs: none,
      sockets_lost: none,
      sockets_silent: none,
    });
  }
  return wanted;
}

// What all scenarios have in common. The address of a request and the client's own address are left out of the series, so that
// their number is small.
export const commonOptions = {
  setupTimeout: "10m",
  teardownTimeout: "1m",
  summaryTrendStats: ["med", "p(95)", "p(99)", "max", "count"],
  systemTags: ["method", "name", "status", "scenario", "group"],
};
