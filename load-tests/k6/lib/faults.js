// Faults that are put between a hub and the checks on demand, so that a self-test sees each check fail.

const fault = __ENV.FAULT || "none";
const everyNth = 10;

let count = 0;

// The frames of events that reach the checks instead of this one.
export function spoilt(frame) {
  count += 1;
  if (fault === "none" || count % everyNth !== 0) return [frame];
  if (fault === "lose") return [];
  if (fault === "repeat") return [frame, frame];
  if (fault === "change") return [{ ...frame, event: { ...frame.event, data: {} } }];
  throw new Error(`there is no fault ${fault}`);
}
