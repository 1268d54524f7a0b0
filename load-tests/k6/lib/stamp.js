// The time at which a request was sent, in what it sends: the event carries it to every reader.

export const stampNow = () => `@${Date.now()}@`;

// A message of 200 to 500 bytes with a stamp. 7919 is a prime: sizes do not go together with businesses.
export function messageOf(number) {
  return `${stampNow()}${number}@`.padEnd(sizeOf(number), "x");
}

const sizeOf = (number) => 200 + ((number * 7919) % 301);

// The time in an event in milliseconds since 1970; 0 for one that has none by its nature, undefined when the event is not what
// was sent.
export function readStamp(event) {
  if (event.type === "order_created") {
    const found = /^@(\d{13})@$/.exec(event.data.notes || "");
    return found && event.data.items.length === 1 ? Number(found[1]) : undefined;
  }
  if (event.type !== "notification") return 0;
  const message = event.data.message || "";
  const found = /^@(\d{13})@(\d+)@x+$/.exec(message);
  return found && message.length === sizeOf(Number(found[2])) ? Number(found[1]) : undefined;
}
