// What a run is told by its environment, and the numbers that follow from it.

function number(name, otherwise) {
  const text = __ENV[name];
  if (text === undefined || text === "") return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0, but is ${text}`);
  return value;
}

// 1 is the stated load: 10,000 sockets in 2,000 rooms, 500 events and 500 requests a second.
export const scale = number("SCALE", 0.1);

// Time of load, without opening the sockets before it and the check after it.
export const seconds = number("SECONDS", 60);

// How many times the ordinary load a spike is.
export const spikeFactor = number("SPIKE", 1.5);

// Base addresses of the hubs: requests and sockets take them in turn.
export const hubs = (__ENV.HUBS || "http://127.0.0.1:8000").split(",").map((hub) => hub.replace(/\/$/, ""));

export const sockets = Math.max(10, Math.round(10000 * scale));
export const rooms = Math.max(4, Math.round(2000 * scale));
export const eventsPerSecond = Math.max(1, Math.round(500 * scale));
export const requestsPerSecond = Math.max(1, Math.round(500 * scale));

// Customers take turns; each may have five orders that wait for an answer of one business.
export const customers = Math.max(4, Math.round(500 * scale));

// A hub allows a user 20 connections, long polls among them, and remembers 50 devices: five sockets in each of three rooms are
// within both.
export const roomsOfAnOwner = 3;

// Sockets of one virtual user of k6, which has one thread of JavaScript for all of them.
export const socketsOfAVirtualUser = 50;

// Seconds in which the sockets are opened, evenly.
export const openingSeconds = 2 + Math.ceil(sockets / 125);

// Seconds between the last event and the check that every socket has it.
export const settleSeconds = 4;

// Seconds over which sockets check and leave, so that the end is no spike of its own.
export const leavingSeconds = 2 + Math.ceil(sockets / 250);

// Sockets in the room with this index: they are dealt out in turn.
export function hearersOf(room) {
  return Math.floor(sockets / rooms) + (room < sockets % rooms ? 1 : 0);
}
